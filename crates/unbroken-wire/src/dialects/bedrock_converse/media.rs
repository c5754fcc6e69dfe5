//! Images and documents of Converse, which names formats and wants a name for every document.
//!
//! Source: wire-formats.md 2.1 (BC), 7 (case 55).

use serde_json::{Value, json};

use crate::chat::Source;
use crate::dialects::Unsupported;
use crate::dialects::fields::text;
use crate::media;

/// Formats of images, and their media types.
const IMAGES: &[(&str, &str)] =
    &[("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

/// Formats of documents, and their media types.
const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("md", "text/markdown"),
    ("txt", "text/plain"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
];

/// A document's name has at most so many characters.
const NAME_MAX: usize = 200;

/// An image.
pub(super) fn write_image(source: &Source) -> Result<Value, Unsupported> {
    let (format, source) = write_source(source, IMAGES)?;
    Ok(json!({ "image": { "format": format, "source": source } }))
}

/// A document; `place` makes its name the only one of its kind in the request.
pub(super) fn write_document(
    source: &Source,
    name: Option<&str>,
    place: usize,
) -> Result<Value, Unsupported> {
    let (format, source) = write_source(source, DOCUMENTS)?;
    let name = fit_name(name.unwrap_or_default(), place);
    Ok(json!({ "document": { "format": format, "name": name, "source": source } }))
}

fn write_source<'a>(
    source: &Source,
    formats: &'a [(&str, &str)],
) -> Result<(&'a str, Value), Unsupported> {
    match source {
        Source::Base64 { media_type, data } => {
            let known = formats.iter().find(|(_, name)| name == media_type);
            let is_words = media_type.starts_with("text/") && formats.len() == DOCUMENTS.len();
            let format = known.map(|(format, _)| *format).or(is_words.then_some("txt"));
            let format = format.ok_or_else(|| {
                Unsupported::new("messages", &format!("media of type '{media_type}'"))
            })?;
            Ok((format, json!({ "bytes": data })))
        }
        // It reads from its own storage, and the format is at the end of the name.
        Source::Url(url) if url.starts_with("s3://") => {
            let end = url.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            let end = if end == "jpg" { "jpeg" } else { &end };
            let format = formats.iter().find(|(format, _)| *format == end);
            let (format, _) =
                format.ok_or_else(|| Unsupported::new("messages", "a file of unknown format"))?;
            Ok((format, json!({ "s3Location": { "uri": url } })))
        }
        Source::Url(_) => Err(Unsupported::new("messages", "media by URL")),
    }
}

/// Letters, digits, single spaces, hyphens, parentheses and brackets only; the format is told
/// apart from the name.
fn fit_name(name: &str, place: usize) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let keep = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let kept: String = stem.chars().map(keep).collect();
    let words: Vec<&str> = kept.split_whitespace().collect();
    let kept: String = words.join(" ").chars().take(NAME_MAX - 9).collect();
    match (kept.trim(), place) {
        ("", place) => format!("Document {}", place + 1),
        (kept, 0) => kept.to_owned(),
        (kept, place) => format!("{kept} ({})", place + 1),
    }
}

/// Reads an image or a document: where its bytes are.
pub(super) fn read_source(part: &Value) -> Option<Source> {
    let format = text(part, "format");
    let known = IMAGES.iter().chain(DOCUMENTS).find(|(name, _)| *name == format);
    let media_type = known.map_or("application/octet-stream", |(_, media_type)| media_type);
    let source = part.get("source")?;
    if let Some(bytes) = source.get("bytes").and_then(Value::as_str) {
        return Some(media::inline(media_type, bytes));
    }
    if let Some(words) = source.get("text").and_then(Value::as_str) {
        let data = crate::base64::encode(words.as_bytes());
        return Some(Source::Base64 { media_type: media_type.to_owned(), data });
    }
    let uri = source.pointer("/s3Location/uri").and_then(Value::as_str)?;
    Some(Source::Url(uri.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_documents_are_fit_and_told_apart() {
        assert_eq!(fit_name("report.v2.pdf", 0), "report v2");
        assert_eq!(fit_name("report.v2.pdf", 1), "report v2 (2)");
        assert_eq!(fit_name("a_b  c\u{e4}.txt", 0), "a b c");
        assert_eq!(fit_name("", 2), "Document 3");
        assert_eq!(fit_name("???.pdf", 0), "Document 1");
        assert!(fit_name(&"x".repeat(400), 10).len() <= NAME_MAX);
    }

    #[test]
    fn formats_come_from_the_media_type_or_the_end_of_a_name() {
        let inline = |media_type: &str| Source::Base64 {
            media_type: media_type.to_owned(),
            data: "AAAA".to_owned(),
        };
        let format = |written: Value| written.pointer("/document/format").cloned().unwrap();
        assert_eq!(format(write_document(&inline("text/x-rust"), None, 0).unwrap()), "txt");
        assert_eq!(format(write_document(&inline("application/pdf"), None, 0).unwrap()), "pdf");
        assert!(write_image(&inline("image/bmp")).is_err());
        assert!(write_image(&inline("text/plain")).is_err());
        let stored = write_image(&Source::Url("s3://bucket/a.JPG".to_owned())).unwrap();
        assert_eq!(
            stored,
            json!({ "image": { "format": "jpeg", "source": { "s3Location": { "uri": "s3://bucket/a.JPG" } } } })
        );
        assert!(write_image(&Source::Url("https://e.test/a.png".to_owned())).is_err());
    }
}
