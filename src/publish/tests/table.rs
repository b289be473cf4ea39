//! Every input in every situation of a publisher, as a table that is reviewed when it changes.

use super::*;
use crate::table_tests::{assert_committed, cell, paragraph};

/// A storage in which attempt 1 has published checkpoints 1 and 2.
fn storage() -> Storage {
    let mut newest = pointer(Publication, 1, 7, Some(2));
    newest.older = BTreeSet::from([CheckpointId(1)]);
    Storage::with(&[(1, pointer(Claim, 1, 7, None)), (2, pointer(Publication, 1, 7, Some(1))), (3, newest)])
}

/// A publisher that has answered `answers` since it began to recover.
fn recovering(answers: &[Answer]) -> Driver {
    let mut driver = Driver::with(Config { on_corruption: OnCorruption::FallBack, ..config() });
    driver.on(Input::RecoveryRequested);
    for answer in answers {
        driver.answer(answer.clone());
    }
    driver
}

/// The same, with the storage as it is for as many answers.
fn recovering_for(answers: usize) -> Driver {
    let (mut driver, mut storage) = (recovering(&[]), storage());
    for _ in 0..answers {
        let answer = storage.perform(driver.operation());
        driver.answer(answer);
    }
    driver
}

fn waited(mut driver: Driver) -> Driver {
    driver.wait();
    driver
}

fn ready() -> Driver {
    Driver::recovered(&mut storage())
}

fn publishing(answers: &[Answer]) -> Driver {
    let mut driver = ready();
    driver.publish(5);
    for answer in answers {
        driver.answer(answer.clone());
    }
    driver
}

fn situations() -> Vec<(&'static str, Driver)> {
    use Answer::{Exists, Failed, Stored, Unknown};
    let mut savepoint = ready();
    let kind = CheckpointKind::Savepoint;
    let checkpoint = CompletedCheckpoint { kind, ..checkpoint(5, savepoint.publisher.attempt.0) };
    savepoint.on(Input::PublicationRequested { checkpoint, older: BTreeSet::new() });
    let mut retiring = ready();
    retiring.on(Input::RetirementRequested { highest: CheckpointId(7) });
    let mut impatient = recovering(&[Failed]);
    for _ in 0..2 {
        impatient.wait();
        impatient.answer(Failed);
    }
    vec![
        ("idle", Driver::new(3)),
        ("listing", recovering(&[])),
        ("waiting to list again", recovering(&[Failed])),
        ("listing for the last time", waited(impatient)),
        ("reading the newest pointer", recovering_for(1)),
        ("reading the newest metadata", recovering_for(2)),
        ("reading older metadata", recovering_for(3)),
        ("claiming in the old segment", recovering_for(4)),
        ("claiming a new segment", recovering_for(5)),
        ("claiming the first pointer", recovering(&[Answer::Listed(Listing::default())])),
        ("confirming the first claim", recovering(&[Answer::Listed(Listing::default()), Exists])),
        ("waiting to confirm the first claim", recovering(&[Answer::Listed(Listing::default()), Unknown])),
        ("ready", ready()),
        ("ready after a claim at the end of a segment", {
            let mut storage = storage();
            let claim = Pointer { older: BTreeSet::from([CheckpointId(1)]), ..pointer(Claim, 2, 8, Some(2)) };
            storage.pointers.insert(seq(4), Some(claim));
            Driver::recovered(&mut storage)
        }),
        ("ready after falling back", {
            let mut storage = storage();
            storage.pointers.insert(seq(3), None);
            let mut driver = recovering(&[]);
            driver.run(&mut storage);
            driver
        }),
        ("writing metadata", publishing(&[])),
        ("writing metadata of a savepoint", savepoint),
        ("writing the pointer", publishing(&[Stored])),
        ("waiting to confirm the pointer", publishing(&[Stored, Unknown])),
        ("confirming a pointer that was taken", publishing(&[Stored, Exists])),
        ("confirming an uncertain pointer", waited(publishing(&[Stored, Unknown]))),
        (
            "writing a pointer that was uncertain",
            waited({
                let mut driver = waited(publishing(&[Stored, Unknown]));
                driver.answer(Answer::Pointer(None));
                driver
            }),
        ),
        ("retiring", retiring),
        ("fenced", publishing(&[Stored, Exists, Answer::Corrupt])),
    ]
}

fn inputs(driver: &Driver) -> Vec<(String, Input)> {
    let attempt = driver.publisher.attempt.0;
    let mut inputs = vec![
        ("recover".to_owned(), Input::RecoveryRequested),
        ("publish 5".to_owned(), request(5, attempt)),
        ("publish of another attempt".to_owned(), request(5, attempt + 1)),
        ("retire".to_owned(), Input::RetirementRequested { highest: CheckpointId(7) }),
        ("early tick".to_owned(), Input::Tick),
        ("tick".to_owned(), Input::Tick),
    ];
    let Some((ticket, operation)) = &driver.asked else { return inputs };
    let unknown = Input::Answered { ticket: Ticket(ticket.0 + 1), answer: Answer::Stored };
    inputs.push(("stored, another ticket".to_owned(), unknown));
    let own = match operation {
        Operation::PutPointer(_, pointer) => pointer.clone(),
        _ => Pointer { older: BTreeSet::new(), ..pointer(Publication, attempt, 1, Some(5)) },
    };
    let listing = |pointers: &[u64], checkpoints: &[u64]| {
        let pointers = pointers.iter().copied().map(seq).collect();
        Answer::Listed(Listing {
            pointers,
            checkpoints: checkpoints.iter().copied().map(CheckpointId).collect(),
        })
    };
    let answers = [
        ("listed nothing", listing(&[], &[])),
        ("listed pointer 2 and checkpoint 4", listing(&[1, 2], &[1, 4])),
        ("no pointer", Answer::Pointer(None)),
        ("the own pointer", Answer::Pointer(Some(own))),
        ("a publication of another", Answer::Pointer(Some(pointer(Publication, 4, 9, Some(4))))),
        ("a claim of another", Answer::Pointer(Some(pointer(Claim, 4, 9, None)))),
        ("no metadata", Answer::Metadata(None)),
        ("metadata of 1", Answer::Metadata(Some(checkpoint(1, 1)))),
        ("metadata of 2", Answer::Metadata(Some(checkpoint(2, 1)))),
        ("stored", Answer::Stored),
        ("exists", Answer::Exists),
        ("failed", Answer::Failed),
        ("unknown", Answer::Unknown),
        ("corrupt", Answer::Corrupt),
    ];
    let answered = |answer| Input::Answered { ticket: *ticket, answer };
    inputs.extend(answers.map(|(name, answer)| (name.to_owned(), answered(answer))));
    inputs
}

/// What the publisher waits for, and what it knows.
fn name(publisher: &Publisher) -> String {
    let until = |waiting: Waiting| match waiting {
        Waiting::Answer(ticket) => format!("answer {}", ticket.0),
        Waiting::Until(time) => format!("until {time}"),
    };
    let phase = match &publisher.phase {
        Phase::Recovering(recovery) => {
            format!("{:?}, {}, retries {}", recovery.step, until(recovery.waiting), recovery.retries)
        }
        Phase::Publishing(publication) => format!("{:?}, {}", publication.step, until(publication.waiting)),
        other => format!("{other:?}"),
    };
    let phase = match (publisher.publishing(), publisher.is_fenced()) {
        (None, false) => phase,
        (Some(id), false) => format!("publishing {id}, {phase}"),
        (None, true) => format!("{phase} for good"),
        (Some(_), true) => unreachable!("who is fenced publishes nothing"),
    };
    let superfluous: Vec<u64> = publisher.superfluous.iter().map(|number| number.0).collect();
    format!(
        "{phase}; attempt {}, newest {}, superfluous {superfluous:?}",
        publisher.attempt, publisher.newest
    )
}

fn brief(output: &Output) -> String {
    let pointer = |pointer: &Pointer| {
        let older: Vec<u64> = pointer.older.iter().map(|id| id.0).collect();
        let newest = pointer.newest.map_or("nothing".to_owned(), |id| id.to_string());
        format!("{:?} by {} of {newest} beside {older:?}", pointer.kind, pointer.attempt)
    };
    match output {
        Output::Perform { operation: Operation::PutPointer(number, put), .. } => {
            format!("put pointer {number}: {}", pointer(put))
        }
        Output::Perform { operation: Operation::PutMetadata(checkpoint), .. } => {
            format!("put metadata of {}", checkpoint.id)
        }
        Output::Perform { operation, .. } => format!("{operation:?}"),
        Output::Recovered(recovered) => {
            let newest =
                recovered.newest.as_ref().map_or("nothing".to_owned(), |newest| newest.id.to_string());
            let (older, found): (Vec<u64>, Vec<u64>) = (
                recovered.older.iter().map(|older| older.id.0).collect(),
                recovered.found.iter().map(|id| id.0).collect(),
            );
            let next = recovered.next_checkpoint;
            format!(
                "recovered {newest} and {older:?} in attempt {}, found {found:?}, next {next}",
                recovered.attempt
            )
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn publish_every_input_in_every_situation_behaves_as_in_the_committed_table() {
    let mut found = String::from("situation [state]\n  inputs: what is done [next state]\n");
    for (situation, driver) in situations() {
        let state = name(&driver.publisher);
        let cells = inputs(&driver).into_iter().map(|(event, input)| {
            let now = if event == "early tick" { driver.now } else { driver.now + PAUSE };
            (event, effect(&driver, now, &state, input))
        });
        paragraph(&mut found, situation, &state, cells);
    }
    assert_committed("src/publish/table.txt", &found);
}

fn effect(driver: &Driver, now: u64, state: &str, input: Input) -> String {
    let (mut next, mut out) = (driver.publisher.clone(), Vec::new());
    let misused = next.on(Millis(now), input, &mut out).is_err();
    next.check().unwrap();
    cell(&out.iter().map(brief).collect::<Vec<_>>(), misused, state, &name(&next))
}
