//! Media in a body: what are they really?
//!
//! Clients write `image/jpg`, break base64 into lines, use its URL-safe alphabet, or name a type
//! that the bytes are not. Strict providers refuse all of that; the bytes know better.
//!
//! Source: wire-formats.md 7, cases 44, 45 and 54.

use crate::base64;
use crate::chat::Source;

/// So many letters of base64 tell the type.
const LOOKED_AT: usize = 24;

/// Bytes in a body, under their true type and in plain base64.
#[must_use]
pub fn inline(media_type: &str, data: &str) -> Source {
    let is_plain = data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b));
    let data = if is_plain {
        data.to_owned()
    } else {
        base64::decode(data).map_or_else(|| data.to_owned(), |bytes| base64::encode(&bytes))
    };
    let named = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let named = if named == "image/jpg" { "image/jpeg".to_owned() } else { named };
    let seen = data.get(..LOOKED_AT.min(data.len())).and_then(sniff);
    // Only a type that could be confused is corrected.
    let is_picture = named.starts_with("image/") || named.is_empty();
    let media_type = match seen {
        Some(seen) if is_picture => seen.to_owned(),
        _ => named,
    };
    Source::Base64 { media_type, data }
}

/// Whether it is an image.
#[must_use]
pub fn is_image(source: &Source) -> bool {
    match source {
        Source::Base64 { media_type, .. } => media_type.starts_with("image/"),
        Source::Url(_) => true,
    }
}

fn sniff(data: &str) -> Option<&'static str> {
    let bytes = base64::decode(data)?;
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    [
        (&b"\x89PNG\r\n\x1a\n"[..], "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"%PDF-", "application/pdf"),
    ]
    .into_iter()
    .find(|(magic, _)| bytes.starts_with(magic))
    .map(|(_, media_type)| media_type)
    .or_else(|| is_webp.then_some("image/webp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(media_type: &str, data: &str) -> (String, String) {
        match inline(media_type, data) {
            Source::Base64 { media_type, data } => (media_type, data),
            Source::Url(url) => panic!("{url}"),
        }
    }

    #[test]
    fn the_bytes_say_what_they_are() {
        let jpeg = base64::encode(b"\xff\xd8\xff\xe0 and so on and so forth");
        assert_eq!(read("image/png", &jpeg), ("image/jpeg".to_owned(), jpeg.clone()));
        let pdf = base64::encode(b"%PDF-1.7 and so on and so forth");
        assert_eq!(read("image/png", &pdf).0, "application/pdf");
        assert_eq!(read("audio/wav", &jpeg).0, "audio/wav", "not ours to say");
        assert_eq!(read("image/JPG; x=y", "AAAA").0, "image/jpeg");
    }

    #[test]
    fn base64_is_made_plain() {
        assert_eq!(
            read("image/png", "-_-_\n-_").1,
            base64::encode(&base64::decode("+/+/+/").unwrap())
        );
        assert_eq!(read("image/png", "not base64!").1, "not base64!", "left to the provider");
    }
}
