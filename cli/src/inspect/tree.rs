//! What was found, as lines that are indented by what they belong to.

use indicatif::{HumanBytes, HumanCount};
use snapline::inspection::{
    BackendFileReport, CapturedReport, CheckpointReport, Inspection, JobReport, KeyedStateReport,
    OperatorReport, OperatorStateReport, Problem, SerializerReport, SharedFileReport, StateFileReport,
    Status, SubtaskReport,
};
use std::path::Path;

pub fn of(inspection: &Inspection) -> String {
    let mut tree = Tree { text: String::new(), depth: 0 };
    for job in &inspection.jobs {
        tree.job(job);
    }
    tree.text
}

struct Tree {
    text: String,
    depth: usize,
}

impl Tree {
    fn line(&mut self, line: &str) {
        self.text.push_str(&"  ".repeat(self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A line, and what belongs to it.
    fn branch(&mut self, line: &str, below: impl FnOnce(&mut Tree)) {
        self.line(line);
        self.depth += 1;
        below(self);
        self.depth -= 1;
    }

    fn problems(&mut self, problems: &[Problem]) {
        for problem in problems {
            self.line(&format!("! {problem}"));
        }
    }

    fn job(&mut self, job: &JobReport) {
        self.branch(&format!("job {} in {}", job.job, job.directory), |tree| {
            tree.problems(&job.problems);
            match (&job.pointers_in, job.newest_pointer, job.attempt) {
                (Some(store), ..) => tree.line(&crate::fsck::pointers_lie_in(store)),
                (None, Some(pointer), Some(attempt)) => {
                    let newest = job.newest_checkpoint.map_or("none".to_owned(), |id| id.to_string());
                    tree.line(&format!(
                        "pointer {pointer} of attempt {attempt}, newest checkpoint: {newest}"
                    ));
                }
                _ => tree.line("no pointer"),
            }
            job.checkpoints.iter().for_each(|checkpoint| tree.checkpoint(checkpoint));
            if !job.shared_files.is_empty() {
                let bytes = job.shared_files.iter().map(|file| file.bytes).sum();
                let line = format!("{} shared files, {}", job.shared_files.len(), HumanBytes(bytes));
                tree.branch(&line, |tree| job.shared_files.iter().for_each(|file| tree.shared_file(file)));
            }
        });
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointReport) {
        let status = match checkpoint.status {
            Status::Newest => "newest",
            Status::Retained => "retained",
            Status::Savepoint => "savepoint",
            Status::Unpublished => "unpublished: being written, given up, or to be deleted",
            Status::Unknown => "not known whether it is published",
        };
        let mut line = format!("{} ({status})", checkpoint.name);
        match (&checkpoint.kind, checkpoint.attempt) {
            (Some(kind), Some(attempt)) => {
                let (private, shared) =
                    (HumanBytes(checkpoint.private_bytes), HumanBytes(checkpoint.shared_bytes));
                line += &format!(": {kind}, attempt {attempt}, {private} of its own, {shared} shared");
            }
            _ if checkpoint.problems.is_empty() => line += ": no metadata",
            _ => {}
        }
        self.branch(&line, |tree| {
            tree.problems(&checkpoint.problems);
            checkpoint.operators.iter().for_each(|operator| tree.operator(operator));
        });
    }

    fn operator(&mut self, operator: &OperatorReport) {
        let OperatorReport { number, uid, name, parallelism, max_parallelism, subtasks } = operator;
        let line = format!(
            "operator {number} `{name}`, uid `{uid}`: parallelism {parallelism}, maximum parallelism {max_parallelism}"
        );
        self.branch(&line, |tree| subtasks.iter().for_each(|subtask| tree.subtask(subtask)));
    }

    fn subtask(&mut self, subtask: &SubtaskReport) {
        let index = subtask.index;
        match &subtask.state_file {
            Some(file) => self.state_file(index, file),
            None if subtask.had_finished => self.line(&format!("subtask {index}: had finished")),
            None => self.line(&format!("subtask {index}: no state")),
        }
    }

    fn state_file(&mut self, index: u16, file: &StateFileReport) {
        let place = if file.is_inline { "in the metadata" } else { short(&file.file) };
        let mut line = format!("subtask {index}: {place}, {}", HumanBytes(file.bytes));
        if let (Some(first), Some(last)) = (file.first_key_group, file.last_key_group) {
            line += &format!(", key groups {first} to {last}");
        }
        if let Some(key) = &file.key_serializer {
            line += &format!(", keys {}", serializer(key));
        }
        if file.is_compressed {
            line += ", compressed";
        }
        self.branch(&line, |tree| {
            file.keyed_states.iter().for_each(|state| tree.line(&keyed_state(state)));
            file.operator_states.iter().for_each(|state| tree.line(&operator_state(state)));
            file.captured_records.iter().flatten().for_each(|records| tree.line(&captured(records)));
            if let Some(backend) = &file.backend {
                let line = format!("{} files of backend `{backend}`", file.backend_files.len());
                tree.branch(&line, |tree| {
                    file.backend_files.iter().for_each(|file| tree.line(&backend_file(file)))
                });
            }
        });
    }

    fn shared_file(&mut self, file: &SharedFileReport) {
        let by = match &*file.referred_to_by {
            [] => "no checkpoint refers to it".to_owned(),
            by => by.join(", "),
        };
        let missing = if file.exists { "" } else { ", missing" };
        self.line(&format!("{}, {}{missing}: {by}", short(&file.file), HumanBytes(file.bytes)));
    }
}

fn keyed_state(state: &KeyedStateReport) -> String {
    let KeyedStateReport { name, kind, map_key_serializer, value_serializer, .. } = state;
    let key = map_key_serializer.iter().map(|key| format!("{} to ", serializer(key))).collect::<String>();
    let mut line = format!("{kind} `{name}` of {key}{}", serializer(value_serializer));
    if state.namespace_serializer.id != "()" {
        line += &format!(", namespaces {}", serializer(&state.namespace_serializer));
    }
    if state.is_in_backend_files {
        line += ", in files of the backend";
    }
    if let (Some(groups), Some(entries), Some(bytes)) = (state.key_groups, state.entries, state.entry_bytes) {
        line += &format!(": {} entries in {groups} key groups, {}", HumanCount(entries), HumanBytes(bytes));
    }
    line
}

fn operator_state(state: &OperatorStateReport) -> String {
    let OperatorStateReport { name, mode, map_key_serializer, item_serializer, items, item_bytes } = state;
    let key = map_key_serializer.iter().map(|key| format!("{} to ", serializer(key))).collect::<String>();
    let bytes = item_bytes.map_or(String::new(), |bytes| format!(", {}", HumanBytes(bytes)));
    let items = HumanCount(*items);
    format!("{mode} operator state `{name}` of {key}{}: {items} items{bytes}", serializer(item_serializer))
}

fn captured(records: &CapturedReport) -> String {
    let CapturedReport { side, channel, record_type, records, bytes } = records;
    format!(
        "{} records of {record_type} from {side} channel {channel}, {}",
        HumanCount(*records),
        HumanBytes(*bytes)
    )
}

fn backend_file(file: &BackendFileReport) -> String {
    let place = file.shared_file.as_ref().map_or("in the state file", |shared| short(shared));
    format!("{}, {}: {place}", file.name, HumanBytes(file.bytes))
}

fn serializer(serializer: &SerializerReport) -> String {
    match serializer.version {
        0 => serializer.id.clone(),
        version => format!("{}, version {version}", serializer.id),
    }
}

/// The name of a file within its directory.
fn short(file: &str) -> &str {
    Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or(file)
}
