//! A pool that grew from two backends to three is levelled under talk, and no client notices.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{Crowd, Ended, Kind, census};

const MINUTE: Duration = Duration::from_secs(60);

/// Sessions asked to move in a minute, in percent of all.
fn per_minute_percent() -> usize {
    scaled(100, 10)
}

fn configuration(backends: &[&Backend]) -> String {
    let addresses: Vec<&str> = backends.iter().map(|backend| backend.address.as_str()).collect();
    let percent = per_minute_percent();
    format!(
        "[pools.both]\nbackends = {addresses:?}\n\
         rebalance = {{ threshold = \"10%\", after = \"2s\", age_min = \"1s\", \
         per_minute_max = \"{percent}%\" }}\n\
         [[routes]]\npath = \"/\"\npool = \"both\"\nhold.resume = \"always\"\n"
    )
}

fn sessions(proxy: &Proxy, backend: &Backend) -> usize {
    let of = format!("tidegate_backend_sessions{{pool=\"both\",backend=\"{}\"", backend.address);
    proxy.metric(&of) as usize
}

/// How many had been asked to move, and between which moments that was read.
struct Sample {
    before: Instant,
    after: Instant,
    asked: usize,
}

impl Sample {
    fn take(proxy: &Proxy) -> Sample {
        let before = Instant::now();
        let asked = proxy.metric("tidegate_rebalance_asked_total") as usize;
        Sample { before, after: Instant::now(), asked }
    }
}

/// The most that were asked in a minute, whichever minute that is.
fn most_per_minute(samples: &[Sample]) -> usize {
    let in_a_minute = |first: &Sample, last: &Sample| last.after - first.before <= MINUTE;
    let most = |first: &Sample| {
        let last = samples.iter().filter(|last| in_a_minute(first, last)).map(|last| last.asked);
        last.max().unwrap_or_default().saturating_sub(first.asked)
    };
    samples.iter().map(most).max().unwrap_or_default()
}

#[tokio::test]
async fn a_grown_pool_is_levelled_under_talk_and_within_its_rate() {
    let all = scaled(30, 2_000);
    let backends = [Backend::start(), Backend::start(), Backend::start()];
    let [one, two, three] = &backends;
    let proxy = Proxy::start(&configuration(&[one, two])).await;
    let pause = Duration::from_millis(scaled(20, 4_000) as u64);
    let mut crowd = Crowd::new();
    crowd.join(all, &proxy.plain, "/", Kind { size_max: 16 << 10, pause }).await;
    assert_eq!([one, two].map(|backend| sessions(&proxy, backend)), [all / 2; 2]);

    proxy.configure(&configuration(&[one, two, three]));
    proxy.reload_to(2).await;
    let began = Instant::now();
    let cap = all * per_minute_percent() / 100;
    // The last third moves at this rate; some time more for whoever measures on a laden machine.
    let patience = MINUTE * (all / 3).div_ceil(cap) as u32 + 2 * MINUTE;
    let fair = all / 3;
    let is_level = |counts: &[usize]| {
        counts.iter().sum::<usize>() == all
            && counts.iter().all(|count| count.abs_diff(fair) * 10 <= fair)
    };
    let mut samples = vec![Sample::take(&proxy)];
    let mut told = String::new();
    loop {
        let counts = backends.each_ref().map(|backend| sessions(&proxy, backend));
        samples.push(Sample::take(&proxy));
        if began.elapsed() >= MINUTE * told.lines().count() as u32 {
            writeln!(told, "{:3} s: {counts:?}", began.elapsed().as_secs()).unwrap();
        }
        if is_level(&counts) {
            writeln!(told, "{:3} s: {counts:?}", began.elapsed().as_secs()).unwrap();
            break;
        }
        assert!(began.elapsed() < patience, "it is not level:\n{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // What a late look may make up for: two seconds of the rate, and one.
    let most = most_per_minute(&samples);
    assert!(most <= cap + cap.div_ceil(30) + 1, "{most} were asked in a minute, not {cap}");

    let echoed = &crowd.shared.echoed;
    let said = echoed.load(std::sync::atomic::Ordering::Relaxed);
    let moved = proxy.metric("tidegate_hold_seconds_count");
    let ends = crowd.finish().await;
    assert!(ends.iter().all(|end| *end == Ended::Asked), "{}", census(&ends));
    println!(
        "{all} sessions, level within 10 %:\n{told}{most} asked in a minute at most, of {cap}; \
         {moved} moved; {said} messages, each back once, unchanged and in order"
    );
}
