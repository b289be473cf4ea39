use snapline::configuration::{Configuration, Origin, options};

const KEY: &str = "execution.checkpointing.num-retained";
const OLD_KEY: &str = "state.checkpoints.num-retained";

fn origins() -> [Origin; 5] {
    let file = Origin::File { path: "config.yaml".into(), line: 1 };
    [Origin::Default, file, Origin::Property, Origin::Flag("--retained"), Origin::Code]
}

#[test]
fn precedence_is_default_file_property_flag_code_in_whichever_order_they_are_set() {
    for (low, weak) in origins().iter().enumerate() {
        for strong in &origins()[low + 1..] {
            for is_turned in [false, true] {
                let mut configuration = Configuration::new();
                let mut both = [("1", weak), ("2", strong)];
                if is_turned {
                    both.reverse();
                }
                for (value, origin) in both {
                    configuration.set(KEY, value, origin.clone());
                }
                let entry = configuration.get(KEY).unwrap();
                assert_eq!((entry.value.as_str(), &entry.origin), ("2", strong));
            }
        }
    }
}

#[test]
fn precedence_within_one_origin_is_that_of_the_last() {
    for origin in origins() {
        let mut configuration = Configuration::new();
        configuration.set(KEY, "1", origin.clone());
        configuration.set(KEY, "2", origin);
        assert_eq!(configuration.get(KEY).unwrap().value, "2");
    }
}

#[test]
fn precedence_of_an_old_key_is_that_of_its_origin_and_else_below_the_current_one() {
    let mut configuration = Configuration::new();
    let find = |configuration: &Configuration| {
        let (key, entry) = configuration.find(&options::NUM_RETAINED).unwrap();
        (key, entry.value.clone())
    };
    configuration.set(OLD_KEY, "1", Origin::Property);
    assert_eq!(find(&configuration), (OLD_KEY, "1".to_owned()));
    configuration.set(KEY, "2", Origin::Default);
    assert_eq!(find(&configuration), (OLD_KEY, "1".to_owned()));
    configuration.set(KEY, "3", Origin::Property);
    assert_eq!(find(&configuration), (KEY, "3".to_owned()));
}

#[test]
fn precedence_holds_between_configurations_that_are_put_together() {
    let [_, file, property, ..] = origins();
    let (mut of_file, mut of_command) = (Configuration::new(), Configuration::new());
    of_file.set(KEY, "1", file.clone());
    of_file.set("parallelism.default", "4", file);
    of_command.set(KEY, "2", property);
    let mut one = of_file.clone();
    one.extend(of_command.clone());
    of_command.extend(of_file);
    assert_eq!(one, of_command);
    let all: Vec<_> = one.iter().map(|(key, entry)| (key, entry.value.as_str())).collect();
    assert_eq!(all, [(KEY, "2"), ("parallelism.default", "4")]);
}
