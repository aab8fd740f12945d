//! What a session records while it is tapped: the frames of both directions, and ours between.
//!
//! It follows the bytes that were dealt with by trackers of its own, so that the path of a message
//! knows nothing of it.

use crate::base::clock::Moment;
use crate::base::side::Side;
use crate::registry::{FrameParty, TapFrame, TapLink, TapTicket};
use crate::wire::frame::{Allowed, FrameEvent, FrameHeader, Tracker, unmask};

/// A pointer while there was no tap.
#[derive(Debug, Default)]
pub(super) struct Tapped(Option<Box<SessionTaps>>);

/// The taps of one session.
#[derive(Debug)]
struct SessionTaps {
    links: Vec<TapLink>,
    trackers: [Tracker; 2],
    /// Frames whose payload has not come as far as it is wanted.
    begun: [Option<TapFrame>; 2],
    last: Option<Moment>,
}

impl SessionTaps {
    fn new(trackers: [Tracker; 2]) -> SessionTaps {
        SessionTaps { links: Vec::new(), trackers, begun: [None, None], last: None }
    }

    fn join(&mut self, ticket: TapTicket) {
        if !self.links.iter().any(|link| link.is_of(&ticket)) {
            self.links.push(ticket.join());
        }
    }

    /// Bytes that `from` sent were dealt with; of them `forward` go across.
    fn on_bytes(&mut self, from: Side, bytes: &[u8], forward: usize, now: Moment) {
        let mut at = 0;
        loop {
            let tracker = &mut self.trackers[from as usize];
            let (mask, phase) = (tracker.mask(), tracker.mask_offset());
            let step = tracker.step(&bytes[at..]);
            match step.event {
                Some(FrameEvent::Header { header, .. }) => {
                    let to = match at < forward {
                        true => from.other().into(),
                        false => FrameParty::Proxy,
                    };
                    self.begin(from, header, to, now);
                }
                end => {
                    self.on_payload(from, &bytes[at..at + step.used], mask, phase, end.is_some());
                    if end.is_none() {
                        return;
                    }
                }
            }
            at += step.used;
        }
    }

    fn begin(&mut self, from: Side, header: FrameHeader, to: FrameParty, now: Moment) {
        let frame = self.frame(&header, from.into(), to, now);
        match self.wanted(header.length) {
            0 => self.record(&frame),
            _ => self.begun[from as usize] = Some(frame),
        }
    }

    fn on_payload(&mut self, from: Side, bytes: &[u8], mask: [u8; 4], phase: usize, ends: bool) {
        let Some(mut frame) = self.begun[from as usize].take() else { return };
        let wanted = self.wanted(frame.length);
        let had = frame.payload.len();
        frame.payload.extend(&bytes[..bytes.len().min(wanted.saturating_sub(had))]);
        unmask(&mut frame.payload[had..], mask, phase);
        match ends || frame.payload.len() >= wanted {
            true => self.record(&frame),
            false => self.begun[from as usize] = Some(frame),
        }
    }

    /// A frame of ours goes to a side, whole.
    fn on_own(&mut self, to: Side, bytes: &[u8], now: Moment) {
        let mut tracker = Tracker::new(to.other(), Allowed::ANYTHING);
        let step = tracker.step(bytes);
        let Some(FrameEvent::Header { header, .. }) = step.event else { return };
        let mut frame = self.frame(&header, FrameParty::Proxy, to.into(), now);
        frame.payload.extend(bytes[step.used..].iter().take(self.wanted(header.length)));
        unmask(&mut frame.payload, tracker.mask(), 0);
        self.record(&frame);
    }

    fn frame(
        &mut self,
        header: &FrameHeader,
        from: FrameParty,
        to: FrameParty,
        at: Moment,
    ) -> TapFrame {
        let FrameHeader { opcode, fin, length, rsv, .. } = *header;
        let after = self.last.replace(at).map(|last| at.since(last));
        let (rsv1, payload) = (rsv & Allowed::DEFLATE.rsv != 0, Vec::new());
        TapFrame { at, after, from, to, opcode, fin, rsv1, length, payload }
    }

    /// Bytes of a payload that somebody wants to see.
    fn wanted(&self, length: u64) -> usize {
        let most = self.links.iter().map(TapLink::payload_bytes).max().unwrap_or(0);
        usize::try_from(length).map_or(most, |length| length.min(most))
    }

    fn record(&mut self, frame: &TapFrame) {
        self.links.retain(|link| !link.is_off());
        self.links.iter().for_each(|link| link.record(frame));
    }
}

impl Tapped {
    /// The session is tapped from here on, where its trackers stand so.
    pub(super) fn on_ticket(&mut self, ticket: TapTicket, trackers: impl FnOnce() -> [Tracker; 2]) {
        self.0.get_or_insert_with(|| Box::new(SessionTaps::new(trackers()))).join(ticket);
    }

    /// Whether somebody watches.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Bytes that `from` sent were dealt with; of them `forward` go across.
    pub(super) fn on_bytes(&mut self, from: Side, bytes: &[u8], forward: usize, now: Moment) {
        if let Some(taps) = &mut self.0 {
            taps.on_bytes(from, bytes, forward, now);
        }
        self.0.take_if(|taps| taps.links.is_empty());
    }

    /// A frame of ours goes to a side, whole.
    pub(super) fn on_own(&mut self, to: Side, bytes: &[u8], now: Moment) {
        if let Some(taps) = &mut self.0 {
            taps.on_own(to, bytes, now);
        }
    }

    /// Another upstream is in the place of the one before: its first frame comes next.
    pub(super) fn on_upstream(&mut self, allowed: Allowed) {
        if let Some(taps) = &mut self.0 {
            taps.trackers[Side::Upstream as usize] = Tracker::new(Side::Upstream, allowed);
            taps.begun[Side::Upstream as usize] = None;
        }
    }
}
