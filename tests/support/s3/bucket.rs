//! One bucket in memory, and what S3 promises of it: conditional puts, uploads in parts, and listings in pages.

use futures_util::StreamExt;
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// No part but the last may be smaller.
const MIN_PART_BYTES: usize = 5 * 1024 * 1024;

/// Clones share the content.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    state: Arc<Mutex<State>>,
    ignores_conditions: bool,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// The key and the parts of each upload.
    uploads: BTreeMap<String, (String, BTreeMap<i32, Vec<u8>>)>,
    uploads_begun: u64,
    /// Pages of listings that were given out.
    pages: u64,
}

impl Bucket {
    /// The name by which it is asked for.
    pub const NAME: &str = "checkpoints";
    /// How many keys a page of a listing has at most.
    const PAGE_KEYS: usize = 3;

    /// One that writes what exists, whatever it is told.
    pub fn without_conditions() -> Self {
        Bucket { ignores_conditions: true, ..Bucket::default() }
    }

    pub fn keys(&self) -> Vec<String> {
        self.state.lock().unwrap().objects.keys().cloned().collect()
    }

    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().objects.get(key).cloned()
    }

    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.state.lock().unwrap().objects.insert(key.to_owned(), bytes.to_vec());
    }

    /// Uploads that were neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }

    /// The same, and gives them up, as the rule of a bucket does.
    pub fn take_open_uploads(&self) -> usize {
        std::mem::take(&mut self.state.lock().unwrap().uploads).len()
    }

    pub fn uploads_begun(&self) -> u64 {
        self.state.lock().unwrap().uploads_begun
    }

    pub fn pages(&self) -> u64 {
        self.state.lock().unwrap().pages
    }

    fn object(&self, bucket: &str, key: &str) -> S3Result<Vec<u8>> {
        match bucket {
            Self::NAME => self.get(key).ok_or_else(|| s3_error!(NoSuchKey)),
            _ => Err(s3_error!(NoSuchBucket)),
        }
    }
}

async fn content(body: Option<StreamingBlob>) -> S3Result<Vec<u8>> {
    let (mut content, mut body) = (Vec::new(), body.ok_or_else(|| s3_error!(IncompleteBody))?);
    while let Some(piece) = body.next().await {
        content.extend_from_slice(&piece.map_err(|_| s3_error!(IncompleteBody))?);
    }
    Ok(content)
}

/// Contents differ if their marks do.
fn mark(content: &[u8]) -> Option<ETag> {
    Some(ETag::Strong(format!("{:08x}-{}", crc32c::crc32c(content), content.len())))
}

fn now() -> Option<Timestamp> {
    Some(SystemTime::UNIX_EPOCH.into())
}

#[async_trait::async_trait]
impl S3 for Bucket {
    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let PutObjectInput { bucket, key, body, if_none_match, .. } = request.input;
        if bucket != Self::NAME {
            return Err(s3_error!(NoSuchBucket));
        }
        let content = content(body).await?;
        let e_tag = mark(&content);
        let objects = &mut self.state.lock().unwrap().objects;
        let only_if_absent = if_none_match.is_some_and(|condition| condition.is_any());
        if only_if_absent && !self.ignores_conditions && objects.contains_key(&key) {
            return Err(s3_error!(PreconditionFailed));
        }
        objects.insert(key, content);
        Ok(S3Response::new(PutObjectOutput { e_tag, ..Default::default() }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, range, .. } = request.input;
        let mut content = self.object(&bucket, &key)?;
        let (e_tag, bytes) = (mark(&content), content.len() as u64);
        let mut content_range = None;
        if let Some(range) = range {
            let range = range.check(bytes).map_err(|_| s3_error!(InvalidRange))?;
            content_range = Some(format!("bytes {}-{}/{bytes}", range.start, range.end - 1));
            content = content[range.start as usize..range.end as usize].to_vec();
        }
        let content_length = Some(content.len() as i64);
        let body = Some(StreamingBlob::from(s3s::Body::from(content)));
        let last_modified = now();
        Ok(S3Response::new(GetObjectOutput {
            body,
            content_length,
            content_range,
            e_tag,
            last_modified,
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let content = self.object(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(content.len() as i64),
            e_tag: mark(&content),
            last_modified: now(),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.state.lock().unwrap().objects.remove(&request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut deleted = Vec::new();
        for ObjectIdentifier { key, .. } in request.input.delete.objects {
            self.state.lock().unwrap().objects.remove(&key);
            deleted.push(DeletedObject { key: Some(key), ..Default::default() });
        }
        let deleted = Some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    /// In pages of a few keys, each of which says where the next one begins.
    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let ListObjectsV2Input { prefix, delimiter, continuation_token, .. } = request.input;
        let prefix = prefix.unwrap_or_default();
        let begins_after = continuation_token.unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        state.pages += 1;
        let (mut contents, mut prefixes) = (Vec::new(), BTreeSet::new());
        let mut last = None;
        for (key, content) in &state.objects {
            let Some(rest) = key.strip_prefix(&prefix) else { continue };
            let common = delimiter.as_ref().and_then(|delimiter| {
                Some(format!("{prefix}{}", &rest[..rest.find(delimiter)? + delimiter.len()]))
            });
            let entry = common.as_ref().unwrap_or(key);
            if *entry <= begins_after || prefixes.contains(entry) {
                continue;
            }
            if contents.len() + prefixes.len() == Self::PAGE_KEYS {
                let next = ListObjectsV2Output {
                    is_truncated: Some(true),
                    next_continuation_token: last,
                    ..page(contents, prefixes)
                };
                return Ok(S3Response::new(next));
            }
            last = Some(entry.clone());
            match common {
                Some(common) => drop(prefixes.insert(common)),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(content.len() as i64),
                    e_tag: mark(content),
                    last_modified: now(),
                    ..Default::default()
                }),
            }
        }
        Ok(S3Response::new(page(contents, prefixes)))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        let mut state = self.state.lock().unwrap();
        state.uploads_begun += 1;
        let upload_id = format!("upload-{}", state.uploads_begun);
        state.uploads.insert(upload_id.clone(), (key.clone(), BTreeMap::new()));
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload_id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { body, upload_id, part_number, .. } = request.input;
        let content = content(body).await?;
        let e_tag = mark(&content);
        let uploads = &mut self.state.lock().unwrap().uploads;
        let (_, parts) = uploads.get_mut(&upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        parts.insert(part_number, content);
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let CompleteMultipartUploadInput { bucket, key, upload_id, multipart_upload, .. } = request.input;
        let named: Vec<CompletedPart> = multipart_upload.and_then(|parts| parts.parts).unwrap_or_default();
        let mut state = self.state.lock().unwrap();
        let (of, parts) = state.uploads.get(&upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let is_as_named = *of == key
            && named.iter().map(|part| part.part_number).eq(parts.keys().map(|number| Some(*number)))
            && named.iter().map(|part| &part.e_tag).eq(parts
                .values()
                .map(|part| mark(part))
                .collect::<Vec<_>>()
                .iter());
        if !is_as_named {
            return Err(s3_error!(InvalidPart));
        }
        if parts.values().rev().skip(1).any(|part| part.len() < MIN_PART_BYTES) {
            return Err(s3_error!(EntityTooSmall));
        }
        let content = parts.values().flatten().copied().collect::<Vec<u8>>();
        let e_tag = mark(&content);
        state.uploads.remove(&upload_id);
        state.objects.insert(key.clone(), content);
        let (bucket, key) = (Some(bucket), Some(key));
        Ok(S3Response::new(CompleteMultipartUploadOutput { bucket, key, e_tag, ..Default::default() }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let uploads = &mut self.state.lock().unwrap().uploads;
        uploads.remove(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

fn page(contents: Vec<Object>, prefixes: BTreeSet<String>) -> ListObjectsV2Output {
    let prefixes = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
    ListObjectsV2Output {
        key_count: Some((contents.len() + prefixes.len()) as i32),
        is_truncated: Some(false),
        contents: Some(contents),
        common_prefixes: Some(prefixes.collect()),
        ..Default::default()
    }
}
