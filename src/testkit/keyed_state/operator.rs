//! Operator state is kept in memory whatever the backend of keyed state is, so there is nothing of it that a backend could
//! get wrong by itself (group S). Both go into one file: these show them together, as a subtask of a job has them.

use super::Verdict;
use super::everything::{Content, fill};
use super::harness::{File, Operator, file_of_task, groups, restored, store};
use crate::keygroup::MaxParallelism;
use crate::state::backend::StateBackend;
use crate::state::{
    BroadcastState, KeyedSnapshot, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, OperatorImage,
    OperatorListState, OperatorStateBackend, SnapshotImage, StateError, TaskSnapshot,
};

/// A split list, a union list and a broadcast map.
type OperatorContent = (Vec<u64>, Vec<String>, Vec<(String, u64)>);

struct Opened {
    numbers: OperatorListState<u64>,
    words: OperatorListState<String>,
    rules: BroadcastState<String, u64>,
}

fn opened(operator: &mut OperatorStateBackend) -> Result<Opened, StateError> {
    Ok(Opened {
        numbers: operator.list_state(&ListStateDescriptor::new("numbers"))?,
        words: operator.union_list_state(&ListStateDescriptor::new("words"))?,
        rules: operator.broadcast_state(&MapStateDescriptor::new("rules"))?,
    })
}

/// Adds a number to the list and a word to the union list, and puts a limit into the map.
fn change(operator: &mut OperatorStateBackend, number: u64, limit: u64) -> Verdict {
    let Opened { numbers, words, rules } = opened(operator)?;
    numbers.add(operator, number)?;
    words.add(operator, "word".to_owned())?;
    rules.put(operator, "limit".to_owned(), limit).map(drop)
}

fn operator_content(operator: &mut OperatorStateBackend) -> Result<OperatorContent, StateError> {
    let Opened { numbers, words, rules } = opened(operator)?;
    let entries = rules.entries(operator)?.map(|(key, value)| (key.clone(), *value)).collect();
    Ok((numbers.get(operator)?.to_vec(), words.get(operator)?.to_vec(), entries))
}

fn captured(
    keyed: &mut KeyedStateStore<u32>,
    operator: &OperatorStateBackend,
) -> Result<TaskSnapshot, StateError> {
    Ok(TaskSnapshot::new(Some(Box::new(keyed.snapshot()?)), operator.snapshot()))
}

fn operator_image(file: &File) -> Result<OperatorImage, StateError> {
    Ok(SnapshotImage::read_from(&file[..], None)?.operator)
}

/// S07, S08: both are captured at one moment and restored from one file, whatever changes before it is written.
pub fn operator_state_is_written_and_restored_beside_keyed_state(backend: &StateBackend) -> Verdict {
    let (mut keyed, mut operator) = (store::<u32>(backend)?, OperatorStateBackend::new());
    let expected = fill(&mut keyed, 0..40)?;
    change(&mut operator, 1, 10)?;
    change(&mut operator, 2, 20)?;
    let snapshot = captured(&mut keyed, &operator)?;
    change(&mut operator, 3, 30)?;
    let changed = fill(&mut keyed, 20..60)?;
    let file = file_of_task(snapshot)?;
    assert_eq!(operator_content(&mut operator)?.0, [1, 2, 3]);
    assert_eq!(Content::of(&mut keyed)?, changed);

    // Nobody opens either before the next snapshot.
    let unopened = OperatorStateBackend::restore(operator_image(&file)?);
    let next = file_of_task(captured(&mut restored(backend, &file)?, &unopened)?)?;
    for file in [file, next] {
        assert_eq!(Content::of(&mut restored(backend, &file)?)?, expected);
        let mut operator = OperatorStateBackend::restore(operator_image(&file)?);
        let (words, rules) = (vec!["word".to_owned(); 2], vec![("limit".to_owned(), 20)]);
        assert_eq!(operator_content(&mut operator)?, (vec![1, 2], words, rules));
    }
    Ok(())
}

/// Q42, S05, S06: one may be empty without the other, and of both together nothing is written.
pub fn operator_state_is_whole_without_keyed_state_and_the_other_way_round(
    backend: &StateBackend,
) -> Verdict {
    for (has_keyed, has_operator) in [(false, false), (false, true), (true, false)] {
        let (mut keyed, mut operator) = (store::<u32>(backend)?, OperatorStateBackend::new());
        let (mut expected, mut rules) = (Content::of(&mut keyed)?, Vec::new());
        if has_keyed {
            expected = fill(&mut keyed, 0..10)?;
        }
        let state = opened(&mut operator)?.rules;
        if has_operator {
            rules.push(("limit".to_owned(), 7));
            state.put_all(&mut operator, rules.clone())?;
        }
        let snapshot = captured(&mut keyed, &operator)?;
        assert_eq!(snapshot.is_empty(), !has_keyed && !has_operator);
        let file = file_of_task(snapshot)?;
        let mut keyed = restored::<u32>(backend, &file)?;
        assert_eq!(keyed.snapshot()?.is_empty(), !has_keyed);
        assert_eq!(Content::of(&mut keyed)?, expected);
        let mut operator = OperatorStateBackend::restore(operator_image(&file)?);
        assert_eq!(operator_content(&mut operator)?, (vec![], vec![], rules));
    }
    Ok(())
}

/// The subtasks of one operator, restored from the files that others have left, whatever their parallelism was.
fn subtasks(
    backend: &StateBackend,
    max_parallelism: MaxParallelism,
    parallelism: u16,
    files: &[File],
) -> Result<(Operator, Vec<OperatorStateBackend>), StateError> {
    let old: Vec<OperatorImage> = files.iter().map(operator_image).collect::<Result<_, _>>()?;
    let part = |subtask| OperatorImage::redistributed(&old, parallelism, subtask);
    let operators = (0..parallelism).map(|subtask| part(subtask).map(OperatorStateBackend::restore));
    Ok((
        Operator::restored(backend, max_parallelism, parallelism, files)?,
        operators.collect::<Result<_, _>>()?,
    ))
}

/// Over changes of the parallelism keyed state goes where its key groups are, and operator state beside it is divided, or
/// given to all.
pub fn operator_state_is_redistributed_while_keyed_state_follows_its_key_groups(
    backend: &StateBackend,
) -> Verdict {
    let max = groups(10);
    let (mut keyed, mut operators) = subtasks(backend, max, 3, &[])?;
    for key in 0..40 {
        fill(keyed.at(key)?, key..key + 1)?;
    }
    let expected = keyed.content()?;
    for (number, operator) in (0..).zip(&mut operators) {
        change(operator, number, 9)?;
    }
    let (mut known, mut before) = (vec!["word".to_owned()], operators.len());
    for parallelism in [2, 5, 3] {
        let snapshots = keyed.stores.iter_mut().zip(&operators);
        let files = snapshots.map(|(store, operator)| file_of_task(captured(store, operator)?));
        let files: Vec<File> = files.collect::<Result<_, _>>()?;
        (keyed, operators) = subtasks(backend, max, parallelism, &files)?;
        assert_eq!(keyed.content()?, expected, "{parallelism}");
        let contents: Vec<OperatorContent> =
            operators.iter_mut().map(operator_content).collect::<Result<_, _>>()?;
        let numbers: Vec<u64> = contents.iter().flat_map(|(numbers, _, _)| numbers.clone()).collect();
        assert_eq!(numbers, [0, 1, 2], "{parallelism}");
        // Everybody knows what each of those before knew.
        known = vec![known; before].concat();
        before = operators.len();
        for (_, words, rules) in contents {
            assert_eq!((&words, &rules[..]), (&known, &[("limit".to_owned(), 9)][..]), "{parallelism}");
        }
    }
    Ok(())
}

/// What is keyed and what is not may have the same names.
pub fn operator_state_and_keyed_state_of_one_name_do_not_interfere(backend: &StateBackend) -> Verdict {
    let (mut keyed, mut operator) = (store::<u32>(backend)?, OperatorStateBackend::new());
    let list = || ListStateDescriptor::<u64>::new("list");
    let (in_keyed, in_operator) = (keyed.open(&list())?, operator.list_state(&list())?);
    keyed.set_current_key(1)?;
    in_keyed.add(&mut keyed, 1)?;
    in_operator.add(&mut operator, 2)?;
    let file = file_of_task(captured(&mut keyed, &operator)?)?;
    let mut keyed = restored::<u32>(backend, &file)?;
    let in_keyed = keyed.open(&list())?;
    keyed.set_current_key(1)?;
    assert_eq!(in_keyed.get(&keyed)?.map(|one| *one).collect::<Vec<_>>(), [1]);
    let mut operator = OperatorStateBackend::restore(operator_image(&file)?);
    let in_operator = operator.list_state(&list())?;
    assert_eq!(in_operator.get(&operator)?, [2]);
    Ok(())
}
