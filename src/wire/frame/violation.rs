//! What a frame can do wrong (RFC 6455 §5).

use crate::base::label::Label;

/// What a frame did that RFC 6455 §5 forbids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Violation {
    /// A reserved bit is set that no negotiated extension uses (§5.2).
    ReservedBit,
    /// An opcode that is not defined, nor left to a negotiated extension (§5.2).
    ReservedOpcode,
    /// A client's frame without a mask (§5.1).
    NotMasked,
    /// A server's frame with a mask (§5.1).
    Masked,
    /// A control frame longer than 125 bytes (§5.5).
    ControlTooLong,
    /// A control frame in fragments (§5.5).
    ControlFragmented,
    /// A continuation where no message is open (§5.4).
    NothingToContinue,
    /// A new message where one is still open (§5.4).
    MessageOpen,
    /// A length written in more bytes than it needs (§5.2).
    LengthNotMinimal,
    /// A 64-bit length with its highest bit set (§5.2).
    LengthTooLarge,
    /// A Close payload of one byte, or with a code that must not be sent (§5.5.1, §7.4).
    ClosePayload,
    /// A frame after a Close (§5.5.1).
    AfterClose,
}

impl Label for Violation {
    fn label(&self) -> &'static str {
        match self {
            Violation::ReservedBit => "reserved_bit",
            Violation::ReservedOpcode => "reserved_opcode",
            Violation::NotMasked => "not_masked",
            Violation::Masked => "masked",
            Violation::ControlTooLong => "control_too_long",
            Violation::ControlFragmented => "control_fragmented",
            Violation::NothingToContinue => "nothing_to_continue",
            Violation::MessageOpen => "message_open",
            Violation::LengthNotMinimal => "length_not_minimal",
            Violation::LengthTooLarge => "length_too_large",
            Violation::ClosePayload => "close_payload",
            Violation::AfterClose => "after_close",
        }
    }
}
