//! The labels that a route gives its sessions.

use std::sync::Arc;

use super::super::fault::Fault;
use super::super::plan::RouteLabels;
use super::super::tables::{Named, Spanned};
use super::{Lower, entries, template};
use crate::wire::label::{LABELS_MAX, LabelError, is_label, is_label_value};
use crate::wire::template::{LABEL_SOURCES, Template};

/// Names and templates; none when the table is absent.
pub fn labels(cx: &mut Lower<'_>, written: &Spanned<Named<String>>) -> Option<RouteLabels> {
    let mut labels = RouteLabels::new();
    let all = entries(written);
    if all.len() > LABELS_MAX {
        let fault = Fault::new(format!("has more than {LABELS_MAX} labels: {}", all.len()));
        cx.fault("labels", written.span(), fault);
        return None;
    }
    for (name, value) in all {
        let shown = name.get().map_or("labels", String::as_str);
        let name = cx.take("labels", name, |name| label_name(name));
        let made = template::template(cx, value, &LABEL_SOURCES);
        match (name, made.map(|made| made.and_then(label_value))) {
            (Some(name), Some(Ok(value))) => labels.push((name, value)),
            (_, Some(Err(fault))) => cx.fault(shown, value.span(), fault),
            _ => {}
        }
    }
    (labels.len() == all.len() && !written.is_faulty()).then_some(labels)
}

fn label_name(text: &str) -> Result<Arc<str>, Fault> {
    match is_label(text) {
        true => Ok(text.into()),
        false => Err(Fault::new(format!("has a wrong name: {}: `{text}`", LabelError::Name))),
    }
}

/// A value without holes must be one.
fn label_value(made: Template) -> Result<Template, Fault> {
    match made.fixed() {
        Some(fixed) if !is_label_value(fixed) => {
            Err(Fault::new(format!("is no label: {}: `{fixed}`", LabelError::Value)))
        }
        _ => Ok(made),
    }
}
