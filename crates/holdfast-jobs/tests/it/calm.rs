//! What becomes of a world in which nothing fails any more: messages are heard in the order in which they were sent, hosts
//! attend, and work goes on. However it was before, its job ends, nothing is left over, and what is reported is true.

use holdfast_jobs::machine::{Host, State};
use holdfast_jobs::status::Status;

use crate::rules::status;
use crate::world::{Answer, Fate, Step, Work, World};

/// Rounds, each of which is a lot: every message is heard, every attempt goes one step on.
const ROUNDS_MAX: usize = 60;

/// Lets it end, and looks at what is left.
pub(crate) fn settle(mut world: World) {
    for _ in 0..ROUNDS_MAX {
        if is_at_rest(&world) {
            return check(&world);
        }
        round(&mut world);
    }
    panic!("it does not end: {world:#?}");
}

fn is_at_rest(world: &World) -> bool {
    let nothing_left = world.client.running.is_empty() && world.client.ended.is_empty();
    let nothing_said = world.orders.is_empty() && world.reports.is_empty();
    world.job.is_done() && nothing_left && nothing_said && !world.media.unsettled
}

fn round(world: &mut World) {
    let before = world.clone();
    while !world.orders.is_empty() {
        world.step(Step::Order(0, Fate::Heard));
    }
    while !world.reports.is_empty() {
        world.step(Step::Report(0, Fate::Heard));
    }
    if *world.job.state() == State::Queued {
        world.step(Step::Begin);
    }
    work(world);
    if *world != before {
        return;
    }
    // Nothing is on its way: everybody says once more what is not settled, and if that is nothing new time passes.
    world.step(Step::Attend);
    world.step(Step::MediaSays);
    if !matches!(world.job.state(), State::Active(active) if active.without[Host::Client as usize].is_some())
    {
        world.step(Step::Tick);
    }
}

/// The earliest attempt goes on; later ones wait for its end.
fn work(world: &mut World) {
    let Some((epoch, running)) = world.client.running.first_key_value() else { return };
    let (epoch, running) = (*epoch, *running);
    let step = match running {
        _ if running.stop.is_some() => Work::Stop,
        _ if running.begun => Work::Commit(Answer::Heard),
        _ => Work::Begin,
    };
    world.step(Step::Work(epoch, step));
}

fn check(world: &World) {
    let status = status(&world.job).expect("it is done");
    let image = world.media.image.is_some();
    let is_success = status.is_success();
    assert!(image || (!is_success && world.job.image().is_none()), "there is no image: {world:#?}");
    if !world.forgot {
        assert_eq!(world.job.image().is_some(), image, "what the vault has is known: {world:#?}");
        assert!(is_success == image || status == Status::Cancelled, "{status}: {world:#?}");
    }
}
