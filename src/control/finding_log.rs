//! What is found in a configuration, in the log: a line for each finding, its parts as fields.

use crate::report::{FindingLine, FindingPlace, Findings, Severity};

/// Writes the findings' lines.
pub(super) fn write(findings: &Findings) {
    for FindingLine { severity, code, message, hint, place } in findings.lines() {
        let (file, line, column) = match &place {
            Some(FindingPlace { file, line, column }) => {
                (Some(&**file), Some(*line), Some(*column))
            }
            None => (None, None, None),
        };
        let hint = hint.as_deref();
        match severity {
            Severity::Error => {
                tracing::error!(event = "finding", code, file, line, column, hint, "{message}");
            }
            Severity::Warning => {
                tracing::warn!(event = "finding", code, file, line, column, hint, "{message}");
            }
            Severity::Note => {
                tracing::info!(event = "finding", code, file, line, column, hint, "{message}");
            }
        }
    }
}
