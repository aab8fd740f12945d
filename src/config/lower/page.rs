//! Bodies of answers: files that are answered from memory (`errors`, the file of a fixed response),
//! and what is compressed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use crate::report::Diagnostic;
use crate::wire::list::is_token;
use crate::wire::media_type::media_type;

use super::super::fault::Fault;
use super::super::hint::unreadable;
use super::super::plan::{Compress, ErrorPages, StoredPage};
use super::super::tables::{CompressTable, ErrorsValue, Named, Spanned};
use super::{Lower, NamedFiles, entries};

/// Bytes of a page at most.
const PAGE_BYTES_MAX: u64 = 64 * 1024;

/// The key among statuses.
const FROM_BACKEND: &str = "from_backend";

/// A route's error pages; `None` within where it has none.
pub fn errors(
    cx: &mut Lower<'_>,
    written: &Spanned<Named<ErrorsValue>>,
) -> Option<Option<Arc<ErrorPages>>> {
    let mut from_backend = false;
    let mut pages = Vec::new();
    let mut is_whole = !written.is_faulty();
    for (key, value) in entries(written) {
        let name = key.get().map_or("", String::as_str);
        let found = match (name, value.get()) {
            (FROM_BACKEND, Some(ErrorsValue::Switch(holds))) => {
                from_backend = *holds;
                continue;
            }
            (FROM_BACKEND, Some(ErrorsValue::File(_))) => {
                cx.fault(FROM_BACKEND, value.span(), Fault::new("must be true or false"));
                None
            }
            (_, Some(ErrorsValue::Switch(_))) => {
                cx.fault(name, value.span(), Fault::new("must be the file of a page"));
                None
            }
            (_, Some(ErrorsValue::File(file))) => {
                let of = cx.take("errors", key, |text| statuses(text));
                let page = page(cx, name, value, file);
                of.zip(page)
            }
            (_, None) => None,
        };
        match found {
            Some((of, page)) => pages.push((of, Arc::new(page))),
            None => is_whole = false,
        }
    }
    if pages.is_empty() && is_whole && !entries(written).is_empty() {
        let said = "`errors` names no page";
        let hint = "write a status and its file, as in `\"502-504\" = \"errors/away.html\"`";
        let finding = Diagnostic::warning("unused", said).at(written.span());
        cx.report(finding.hint(hint.to_owned()));
    }
    // Of two that have a status the one for fewer is the one that was chosen for it.
    pages.sort_by_key(|(of, _)| of.end() - of.start());
    let errors = (!pages.is_empty()).then(|| Arc::new(ErrorPages { pages, from_backend }));
    is_whole.then_some(errors)
}

/// The bytes of a page's file, and its type by its name.
pub fn page(
    cx: &mut Lower<'_>,
    key: &str,
    written: &Spanned<impl Sized>,
    file: &str,
) -> Option<StoredPage> {
    let path = cx.path(file, written.span());
    cx.files.remember(&path);
    let content_type = HeaderValue::try_from(media_type(file)).ok()?;
    if cx.named_files == NamedFiles::Skip {
        return Some(StoredPage { body: Bytes::new(), content_type });
    }
    match read(&path) {
        Ok(body) => Some(StoredPage { body, content_type }),
        Err(error) => {
            let said = format!("`{key}` cannot be read: {error}: `{}`", path.display());
            let hint = unreadable(file, &error).map(str::to_owned);
            cx.report(Diagnostic::error("file", said).at(written.span()).hint(hint));
            None
        }
    }
}

/// The whole of a regular file that is no larger than a page may be.
fn read(path: &Path) -> io::Result<Bytes> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut body = Vec::new();
    File::open(path)?.take(PAGE_BYTES_MAX + 1).read_to_end(&mut body)?;
    match body.len() as u64 > PAGE_BYTES_MAX {
        true => Err(io::Error::other(format!("it is larger than {} KiB", PAGE_BYTES_MAX / 1024))),
        false => Ok(body.into()),
    }
}

/// One status, `404`, or a range, `502-504`.
fn statuses(text: &str) -> Result<RangeInclusive<u16>, Fault> {
    let wrong = || {
        let said = format!("must be a status or a range of them from 400 to 599, not: `{text}`");
        let hint = "as in `404`, `\"502-504\"`, or `from_backend`".to_owned();
        Fault::new(said).hint(hint)
    };
    let number = |text: &str| text.trim().parse::<u16>().map_err(|_| wrong());
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let of = number(first)?..=number(last)?;
    let fits = (400..=599).contains(of.start()) && (400..=599).contains(of.end());
    if fits && !of.is_empty() { Ok(of) } else { Err(wrong()) }
}

/// What is compressed where nothing is written.
const COMPRESSED: [&str; 12] = [
    "text/html",
    "text/css",
    "text/plain",
    "text/javascript",
    "text/xml",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/wasm",
    "application/xml",
    "image/svg+xml",
];

/// Which answers of a route are compressed.
pub fn compress(cx: &mut Lower<'_>, raw: &CompressTable) -> Option<Arc<Compress>> {
    let types = cx.take_each("types", &raw.types, |text| media_range(text))?;
    if raw.types.is_written() && types.is_empty() {
        let hint = "leave `types` out for every default".to_owned();
        let fault = Fault::new("is an empty list: nothing is compressed").hint(hint);
        cx.fault("types", raw.types.span(), fault);
    }
    let types = match raw.types.is_written() {
        true => types,
        false => COMPRESSED.map(Box::from).to_vec(),
    };
    let bytes_min = raw.bytes_min.get()?.0;
    Some(Arc::new(Compress { types, bytes_min }))
}

/// A media type without parameters, or a beginning of some with a star.
fn media_range(text: &str) -> Result<Box<str>, Fault> {
    let (kind, subtype) = text.split_once('/').unwrap_or((text, ""));
    let is_range = is_token(kind) && (is_token(subtype) && !kind.contains('*'));
    if !is_range || subtype.trim_end_matches('*').contains('*') {
        let fault = Fault::new(format!("must be a media type, not: `{text}`"));
        return Err(fault.hint("as in `text/html`, or `text/*`".to_owned()));
    }
    Ok(text.to_ascii_lowercase().into())
}
