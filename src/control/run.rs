//! The supervisor's loop: one command at a time.

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::core::ProcessCore;
use super::discovery;
use super::handle::ReloadAsked;
use super::options::ReadConfig;
use super::reload::reload;
use super::stop::stop;
use super::stop_requests::StopRequests;
use super::upgrade::{leave, upgrade};
use crate::base::clock;
use crate::base::task::LocalBox;
use crate::drain::{LOOK_INTERVAL, Pace};
use crate::end::Reason;

/// Takes commands until a stop was asked for and is done, or another process has taken over and
/// this one has left.
pub(super) async fn run(mut core: ProcessCore, mut reloads: mpsc::Receiver<ReloadAsked>) {
    let stops = core.common.stops.subscribe();
    let mut asked = stops.clone();
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reading: Option<AskedReading> = None;
    loop {
        tokio::select! {
            biased;
            // The sender lives in `core`.
            _ = asked.wait_for(StopRequests::is_stop) => break,
            Some(asked) = reloads.recv(), if reading.is_none() => {
                let read = Box::pin(core.reader.read(&asked.request));
                reading = Some(AskedReading { asked, read });
            }
            Some((asked, loaded)) = next(&mut reading) => {
                let reloaded = reload(&mut core, &asked.request, loaded).await;
                // Who asked may be gone; the log has it all the same.
                let _ = asked.answer.send(reloaded);
            }
            Some(answer) = core.upgrades.recv(), if reading.is_none() => {
                match upgrade(&mut core, stops.clone()).await {
                    Ok(successor) => {
                        // What waits for the loop, and what still comes, is the new process's to
                        // do.
                        return leave(core, successor, answer, reloads, stops).await;
                    }
                    Err(not) => drop(answer.send(not)),
                }
            }
            () = core.members.changed() => discovery::take(&mut core).await,
            _ = looks.tick() => {
                core.retire();
                look_at_pools(&mut core).await;
            }
        }
    }
    // Those who wait hear that the process stops.
    drop((reloads, reading));
    stop(core, stops).await;
}

/// A reload whose configuration is being read; the loop goes on meanwhile.
struct AskedReading {
    asked: ReloadAsked,
    read: LocalBox<ReadConfig>,
}

/// What was read, once it is; `None` at once where nothing is being read.
async fn next(reading: &mut Option<AskedReading>) -> Option<(ReloadAsked, ReadConfig)> {
    let loaded = (&mut reading.as_mut()?.read).await;
    reading.take().map(|reading| (reading.asked, loaded))
}

/// Gives the orders that follow from how the pools are: sessions leave backends that stay out, and
/// move where a pool is uneven.
async fn look_at_pools(core: &mut ProcessCore) {
    let snapshot = core.common.app.live.now();
    let (now, pace) = (clock::now(), Pace::of(&snapshot.plan.drain));
    let departures = core.unhealthy.look(snapshot.pools.values(), pace, now);
    let rebalanced = core.rebalances.look(snapshot.pools.values(), pace, now);
    // It is not kept while sessions are told.
    drop(snapshot);
    let drains = &core.common.drains;
    rebalanced.levelled.iter().for_each(|group| drains.close(group));
    if !departures.withdrawn.is_empty() {
        drains.withdraw(Reason::Unhealthy, departures.withdrawn).await;
    }
    for order in departures.orders {
        drains.begin(&order).await;
    }
    for order in rebalanced.orders {
        let begun = drains.begin(&order).await;
        core.rebalances.told(&order, begun.sessions);
    }
}
