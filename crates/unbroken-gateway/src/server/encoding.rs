//! What is in a compressed request body? Read up to a bound, whatever it claims to be.
//!
//! A few bytes can unfold into gigabytes, so decoding stops at the limit for bodies; nothing that
//! the body says of its own size is believed.
//!
//! Source: wire-formats.md 1.1.

use std::io::Read;

use bytes::Bytes;

/// Layers of compression; more than two make no sense.
const LAYERS_MAX: usize = 2;

/// Why a body could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The encoding is not known here.
    Unsupported(String),
    /// The bytes are not what the encoding makes.
    Invalid(String),
    /// More than the limit comes out.
    TooLarge,
}

/// The body behind a `Content-Encoding`, of at most `limit` bytes.
pub(super) fn decode(body: Bytes, encodings: &str, limit: usize) -> Result<Bytes, Fault> {
    let names = encodings.split(',').map(|name| name.trim().to_ascii_lowercase());
    let names: Vec<String> = names.filter(|name| !name.is_empty() && name != "identity").collect();
    if names.len() > LAYERS_MAX {
        return Err(Fault::Unsupported(encodings.to_owned()));
    }
    // The last one was put on last.
    names.iter().rev().try_fold(body, |body, name| decode_one(&body, name, limit))
}

fn decode_one(body: &[u8], name: &str, limit: usize) -> Result<Bytes, Fault> {
    match name {
        "gzip" | "x-gzip" => read(flate2::read::MultiGzDecoder::new(body), name, limit),
        // The name means a zlib stream; some clients send the bare one.
        "deflate" => read(flate2::read::ZlibDecoder::new(body), name, limit).or_else(|fault| {
            match read(flate2::read::DeflateDecoder::new(body), name, limit) {
                Err(Fault::Invalid(_)) => Err(fault),
                other => other,
            }
        }),
        "br" => read(brotli_decompressor::Decompressor::new(body, 4096), name, limit),
        "zstd" => {
            let invalid = |error: ruzstd::decoding::errors::FrameDecoderError| {
                Fault::Invalid(format!("zstd: {error}"))
            };
            let decoder = ruzstd::decoding::StreamingDecoder::new(body).map_err(invalid)?;
            read(decoder, name, limit)
        }
        _ => Err(Fault::Unsupported(name.to_owned())),
    }
}

fn read(decoder: impl Read, name: &str, limit: usize) -> Result<Bytes, Fault> {
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match decoder.take(bound).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > limit => Err(Fault::TooLarge),
        Ok(_) => Ok(bytes.into()),
        Err(error) => Err(Fault::Invalid(format!("{name}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"hi hi hi hi"}]}"#;

    fn gzip(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zlib(bytes: &[u8]) -> Bytes {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn bare(bytes: &[u8]) -> Bytes {
        let level = flate2::Compression::fast();
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap().into()
    }

    fn zstd(bytes: &[u8]) -> Bytes {
        ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest).into()
    }

    /// `BODY`, compressed by Node's zlib.
    const BROTLI: &[u8] = &[
        27, 65, 0, 64, 156, 7, 118, 12, 153, 6, 90, 88, 192, 233, 222, 106, 145, 189, 45, 144, 133,
        214, 214, 58, 44, 93, 125, 75, 36, 13, 28, 114, 34, 112, 107, 75, 194, 230, 111, 66, 102,
        211, 65, 44, 163, 236, 157, 103, 51, 40, 85, 4, 193, 49, 223, 1,
    ];

    #[test]
    fn every_encoding_is_read() {
        for (encoding, body) in [
            ("gzip", gzip(BODY)),
            ("X-GZIP", gzip(BODY)),
            ("deflate", zlib(BODY)),
            ("deflate", bare(BODY)),
            ("zstd", zstd(BODY)),
            ("br", Bytes::from_static(BROTLI)),
            ("identity, gzip", gzip(BODY)),
            ("gzip, gzip", gzip(&gzip(BODY))),
            ("identity", Bytes::from_static(BODY)),
        ] {
            assert_eq!(decode(body, encoding, 1 << 20).unwrap(), BODY, "{encoding}");
        }
    }

    #[test]
    fn nothing_unfolds_beyond_the_limit() {
        let zeros = vec![0_u8; 1 << 20];
        for (encoding, body) in
            [("gzip", gzip(&zeros)), ("deflate", zlib(&zeros)), ("zstd", zstd(&zeros))]
        {
            assert!(body.len() < 10_000, "{encoding}: {}", body.len());
            assert_eq!(decode(body.clone(), encoding, 1 << 20).unwrap().len(), 1 << 20);
            assert_eq!(decode(body, encoding, (1 << 20) - 1), Err(Fault::TooLarge), "{encoding}");
        }
    }

    #[test]
    fn garbage_and_unknown_encodings_are_told_apart() {
        for encoding in ["gzip", "deflate", "br", "zstd"] {
            let garbage = Bytes::from_static(b"\xff\xff\xff\xff not this at all");
            let fault = decode(garbage, encoding, 1 << 20).unwrap_err();
            assert!(matches!(fault, Fault::Invalid(_)), "{encoding}: {fault:?}");
            let cut = gzip(BODY).slice(..20);
            assert!(decode(cut, "gzip", 1 << 20).is_err());
        }
        let fault = |encoding| decode(Bytes::new(), encoding, 9).unwrap_err();
        assert_eq!(fault("compress"), Fault::Unsupported("compress".to_owned()));
        assert!(matches!(fault("gzip, gzip, gzip"), Fault::Unsupported(_)));
    }
}
