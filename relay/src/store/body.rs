//! Bodies as the log stores them: as they are, or compressed where that makes them smaller.

use std::borrow::Cow;
use std::io::Read;

use zstd::bulk::Compressor;

use super::StoreError;
use super::words::Table;

/// Favours the relay's CPU over the last tenth of the size.
const LEVEL: i32 = 1;

/// Below this a zstd frame's own header eats what it saves.
const WORTH_COMPRESSING: usize = 128;

/// More than any configured `log_body_max`: a damaged frame must not fill the memory.
const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How both bodies of a row are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Neither body was kept.
    None,
    Identity,
    Zstd,
}

impl Encoding {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Identity => "identity",
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn from_name(table: Table, name: &str) -> Result<Self, StoreError> {
        [Self::None, Self::Identity, Self::Zstd]
            .into_iter()
            .find(|encoding| encoding.as_str() == name)
            .ok_or_else(|| table.unreadable("body_encoding", name))
    }

    /// The body as it was logged.
    pub(super) fn decode(self, table: Table, body: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::None | Self::Identity => Ok(body),
            Self::Zstd => {
                decompress(&body).map_err(|e| table.unreadable("request_body", &e.to_string()))
            }
        }
    }
}

/// The two bodies of a row, ready to be stored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bodies<'a> {
    pub request: Option<Cow<'a, [u8]>>,
    pub response: Option<Cow<'a, [u8]>>,
    pub encoding: Encoding,
}

impl Encoding {
    fn of_plain(request: Option<&[u8]>, response: Option<&[u8]>) -> Self {
        if request.is_none() && response.is_none() {
            Self::None
        } else {
            Self::Identity
        }
    }
}

/// Encodes bodies; keeps zstd's context, which costs more to make than a body to compress.
pub(super) struct BodyEncoder {
    compressor: Option<Compressor<'static>>,
}

impl BodyEncoder {
    /// An encoder that compresses where it helps, or stores bodies as they are.
    pub(super) fn new(compress: bool) -> Self {
        let compressor = compress.then(|| Compressor::new(LEVEL).ok());
        Self {
            // Made in vain only where memory cannot be had; bodies are then stored as they are.
            compressor: compressor.flatten(),
        }
    }

    pub(super) fn encode<'a>(
        &mut self,
        request: Option<&'a [u8]>,
        response: Option<&'a [u8]>,
    ) -> Bodies<'a> {
        self.compress(request, response).unwrap_or_else(|| Bodies {
            request: request.map(Cow::Borrowed),
            response: response.map(Cow::Borrowed),
            encoding: Encoding::of_plain(request, response),
        })
    }

    /// Both bodies compressed; none where it does not help.
    fn compress<'a>(
        &mut self,
        request: Option<&'a [u8]>,
        response: Option<&'a [u8]>,
    ) -> Option<Bodies<'a>> {
        let length = |body: Option<&[u8]>| body.map_or(0, <[u8]>::len);
        let before = length(request) + length(response);
        if before < WORTH_COMPRESSING {
            return None;
        }
        let compressor = self.compressor.as_mut()?;
        let mut pack = |body: Option<&[u8]>| match body {
            Some(body) => compressor.compress(body).ok().map(Some),
            None => Some(None),
        };
        let (request, response) = (pack(request)?, pack(response)?);
        let after = length(request.as_deref()) + length(response.as_deref());
        (after < before).then(|| Bodies {
            request: request.map(Cow::Owned),
            response: response.map(Cow::Owned),
            encoding: Encoding::Zstd,
        })
    }
}

fn decompress(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    zstd::Decoder::new(body)?
        .take(DECODED_BYTES_MAX)
        .read_to_end(&mut decoded)?;
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table("attempts");

    #[test]
    fn bodies_that_shrink_are_compressed_and_come_back_whole() {
        let long = b"{\"status\":\"applied\"}".repeat(100);
        let bodies = BodyEncoder::new(true).encode(Some(&long), Some(b""));
        assert_eq!(bodies.encoding, Encoding::Zstd);
        for (stored, logged) in [
            (bodies.request.unwrap(), &long[..]),
            (bodies.response.unwrap(), b""),
        ] {
            let decoded = Encoding::Zstd.decode(TABLE, stored.into_owned()).unwrap();
            assert_eq!(decoded, logged);
        }
    }

    #[test]
    fn bodies_that_would_grow_are_stored_as_they_are() {
        let noise: Vec<u8> = (0..200u8)
            .map(|n| n.wrapping_mul(n).wrapping_mul(7).wrapping_add(n))
            .collect();
        for mut encoder in [BodyEncoder::new(true), BodyEncoder::new(false)] {
            let bodies = encoder.encode(None, Some(&noise[..100]));
            assert_eq!(bodies.encoding, Encoding::Identity);
            assert_eq!(bodies.response.as_deref(), Some(&noise[..100]));
        }
    }

    #[test]
    fn without_bodies_there_is_no_encoding() {
        let bodies = BodyEncoder::new(true).encode(None, None);
        assert_eq!(bodies.encoding, Encoding::None);
    }

    #[test]
    fn a_damaged_body_is_an_error() {
        assert!(Encoding::Zstd.decode(TABLE, b"not zstd".to_vec()).is_err());
    }
}
