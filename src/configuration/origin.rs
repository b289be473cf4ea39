use std::fmt;
use std::path::PathBuf;

/// Where a value was written. What stands further down in this list goes before what stands further up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A default of the program that has read the configuration.
    Default,
    /// A configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, the first one being 1.
        line: u64,
    },
    /// `-D KEY=VALUE` on the command line.
    Property,
    /// A flag of the command line, which has a name of its own.
    Flag(&'static str),
    /// The code of a program.
    Code,
}

impl Origin {
    /// The larger one goes before the smaller one.
    pub(super) fn precedence(&self) -> u8 {
        match self {
            Origin::Default => 0,
            Origin::File { .. } => 1,
            Origin::Property => 2,
            Origin::Flag(_) => 3,
            Origin::Code => 4,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("by default"),
            Origin::File { path, line } => write!(f, "in {}, line {line}", path.display()),
            Origin::Property => f.write_str("in -D"),
            Origin::Flag(name) => write!(f, "in {name}"),
            Origin::Code => f.write_str("in code"),
        }
    }
}
