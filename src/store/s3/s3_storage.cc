#include "store/s3/s3_storage.h"

#include <algorithm>

#include "base/cpus.h"
#include "base/format.h"
#include "base/iso_time.h"
#include "base/percent.h"
#include "base/text.h"
#include "store/exclusive.h"
#include "store/s3/content_range.h"
#include "store/s3/s3_listing.h"
#include "value/key.h"

namespace metaflow::store {

namespace {

constexpr std::uint64_t kMaxBackgroundBlob = 1U << 20U;  // blobs up to this size are written in the background,
constexpr std::uint64_t kMaxInBackground = 32U << 20U;   // up to this total
constexpr std::int64_t kMicroseconds = 1'000'000;        // per second

/// The attributes of a blob that is not packed.
net::Header blob_attributes() {
  return {"x-amz-meta-metaflow-user-attributes", R"({"cas_raw": true, "cas_version": 1})"};
}

}  // namespace

S3Storage::S3Storage(const std::string& root, S3Options options, net::AwsConfig config, S3Names names)
    : transfers_(root, std::move(options), std::move(config), names) {}

S3Storage::~S3Storage() = default;

void S3Storage::settle() {
  client().finish();
  in_background_bytes_ = 0;
}

// --- reading

std::vector<std::optional<base::SharedBytes>> S3Storage::get(std::span<const std::string> paths) {
  for (const std::string& path : paths) transfers_.check(path);  // all paths, before any request
  settle();
  std::vector<std::optional<base::SharedBytes>> contents(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i)
    transfers_.start_download(paths[i], [&content = contents[i]](auto&& got) { content = std::move(got); });
  client().finish();
  return contents;
}

std::vector<std::optional<std::uint64_t>> S3Storage::sizes(std::span<const std::string> paths) {
  for (const std::string& path : paths) transfers_.check(path);
  settle();
  std::vector<std::optional<std::uint64_t>> sizes(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    client().start(transfers_.request("HEAD", paths[i]),
                   [this, &path = paths[i], &size = sizes[i]](S3Response&& response) {
                     if (is_missing(response)) return;
                     if (!response.ok()) transfers_.fail("examine", path, response);
                     size = parse_size(response.header("content-length").value_or(""));
                     if (!size) transfers_.fail("examine", path, response);
                   });
  }
  client().finish();
  return sizes;
}

std::optional<base::SharedBytes> S3Storage::get_range(const std::string& path, std::uint64_t offset,
                                                      std::uint64_t size) {
  settle();
  if (size == 0) return exists(*this, path) ? std::optional(base::SharedBytes(std::string())) : std::nullopt;
  std::optional<S3Received> received;
  transfers_.start_receiving({.path = path, .begin = offset, .size = size},
                             [&](S3Received&& got) { received = std::move(got); });
  client().finish();
  if (is_missing(received->response)) return std::nullopt;
  if (received->response.status == 416) return base::SharedBytes(std::string());  // the object ends before `offset`
  if (!received->response.ok()) transfers_.fail("read", path, received->response);
  return std::move(received->content);
}

std::vector<Entry> S3Storage::list(const std::string& path) {
  std::vector<Entry> entries;
  const std::size_t front = path.empty() ? 0 : path.size() + 1;
  for (Listed& listed : list_objects(path, false)) {
    const bool is_directory = listed.path.ends_with('/');
    if (is_directory) listed.path.pop_back();
    entries.push_back({listed.path.substr(front), is_directory});
  }
  return entries;
}

std::vector<Listed> S3Storage::list_objects(const std::string& path, bool all) {
  std::vector<Listed> found;
  list_pages(path, all, [&](Listed&& object) { found.push_back(std::move(object)); });
  return found;
}

void S3Storage::walk(const std::string& path, const std::function<void(Listed&&)>& visit) {
  list_pages(path, true, visit);
}

void S3Storage::list_pages(const std::string& path, bool all, const std::function<void(Listed&&)>& visit) {
  settle();
  const std::string below = path.empty() ? transfers_.unchecked_key_of(path) : transfers_.key_of(path);
  const std::string prefix = below.empty() ? "" : below + "/";
  const std::size_t root = transfers_.location().prefix.empty() ? 0 : transfers_.location().prefix.size() + 1;
  S3Listing listing(transfers_.location().bucket, prefix, all);
  while (!listing.is_complete()) {
    const S3Response response = client().perform(listing.next_page());
    const std::string fault = listing.add(response, [&](S3Listed&& found) {
      if (found.key.size() == prefix.size()) return;  // an object that stands for the directory
      visit({found.key.substr(root), found.size, found.modified * kMicroseconds});
    });
    if (fault.empty()) continue;
    S3Response failed = response;
    if (failed.ok()) failed.failure = net::Failure{.text = fault};
    transfers_.fail("list", path, failed);
  }
}

// --- removing

void S3Storage::remove(std::span<const std::string> paths) {
  for (const std::string& path : paths) transfers_.check(path);
  settle();
  for (const std::string& path : paths) {
    client().start(transfers_.request("DELETE", path), [this, &path](S3Response&& response) {
      if (!response.ok() && !is_missing(response)) transfers_.fail("remove", path, response);
    });
  }
  client().finish();
}

void S3Storage::remove_tree(const std::string& path) {
  transfers_.check(path);
  std::vector<std::string> objects;
  std::vector<std::string> directories{path};
  walk(path, [&](Listed&& object) {
    const bool is_directory = object.path.ends_with('/');
    if (is_directory) object.path.pop_back();
    (is_directory ? directories : objects).push_back(std::move(object.path));
  });
  remove(objects);
  for (const std::string& directory : directories) {
    S3Request request = transfers_.request("DELETE", directory);
    request.key += '/';
    client().start(std::move(request), [this, &directory](S3Response&& response) {
      if (!response.ok() && !is_missing(response)) transfers_.fail("remove", directory, response);
    });
  }
  client().finish();
}

std::vector<bool> S3Storage::remove_unchanged(std::span<const Listed> blobs) {
  for (const Listed& blob : blobs) transfers_.check(blob.path);
  settle();
  std::vector<bool> gone(blobs.size());
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    client().start(transfers_.request("HEAD", blobs[i].path), [this, &blob = blobs[i], i, &gone](S3Response&& found) {
      gone[i] = is_missing(found);
      if (gone[i]) return;
      if (!found.ok()) transfers_.fail("examine", blob.path, found);
      // Listings and answers have times in different formats, but both have whole seconds.
      const auto modified = base::parse_http_date(found.header("last-modified").value_or(""));
      if (!modified || *modified != blob.modified / kMicroseconds) return;
      client().start(transfers_.request("DELETE", blob.path), [this, &blob, i, &gone](S3Response&& removed) {
        if (!removed.ok() && !is_missing(removed)) transfers_.fail("remove", blob.path, removed);
        gone[i] = true;
      });
    });
  }
  client().finish();
  return gone;
}

std::vector<std::optional<base::SharedBytes>> S3Storage::get_begins(std::span<const std::string> paths,
                                                                    std::size_t size) {
  for (const std::string& path : paths) transfers_.check(path);
  settle();
  std::vector<std::optional<base::SharedBytes>> begins(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    S3Request part = transfers_.request("GET", paths[i]);
    part.range = {.begin = 0, .size = size};
    client().start(std::move(part), [this, &path = paths[i], &begin = begins[i], size](S3Response&& response) {
      if (is_missing(response)) return;
      if (response.status == 416) response.body.clear();  // the object is empty
      if (!response.ok() && response.status != 416) transfers_.fail("read", path, response);
      begin = base::SharedBytes(response.body.substr(0, size));
    });
  }
  client().finish();
  return begins;
}

// --- writing

void S3Storage::put(std::span<const Object> objects) {
  for (const Object& object : objects) transfers_.check(object.path);
  settle();
  S3Transfers::Uploads uploads;
  try {
    for (const Object& object : objects)
      transfers_.start_upload({object.path, body_of(object.content), transfers_.write_headers()}, uploads);
    client().finish();
  } catch (...) {
    transfers_.abort(uploads);
    throw;
  }
}

void S3Storage::upload(const std::string& path, Pieces content, const net::Headers& headers) {
  S3Transfers::Uploads uploads;
  try {
    transfers_.start_upload({path, body_of(content), headers}, uploads);
    client().finish();
  } catch (...) {
    transfers_.abort(uploads);
    throw;
  }
}

bool S3Storage::create(const Object& object) {
  transfers_.check(object.path);
  settle();
  if (!supports_conditions_) supports_conditions_ = probe_conditions(object.path);
  if (!*supports_conditions_) return create_by_claims(*this, object, claim_site(transfers_.clock()));
  const S3Response response = put_if_absent(object.path, object.content);
  if (response.ok()) return true;
  if (response.status != 412) transfers_.fail("create", object.path, response);
  // It was created by another process, or by an earlier attempt of ours whose answer was lost.
  return response.after_lost_reply && exists_with(object);
}

S3Response S3Storage::put_if_absent(const std::string& path, Pieces content) {
  S3Request conditional = transfers_.request("PUT", path);
  conditional.headers = transfers_.write_headers();
  conditional.headers.emplace_back("If-None-Match", "*");
  conditional.body = body_of(content);
  return client().perform(std::move(conditional));
}

/// Whether the server supports conditional creation: some servers reject the condition, others ignore it. Tests it by
/// creating the same object twice, beside the one to create.
bool S3Storage::probe_conditions(const std::string& path) {
  const std::string probe = path.substr(0, path.rfind('/') + 1) + "conditions_probe";
  for (int i = 0; i < 2; ++i) {
    const S3Response response = put_if_absent(probe, {});
    if (response.status == 412) return true;
    if (response.status == 501 || response.code == "NotImplemented") return false;
    if (!response.ok()) transfers_.fail("create", probe, response);
  }
  return false;
}

bool S3Storage::exists_with(const Object& object) {
  const auto content = store::get(*this, object.path);
  if (!content) return false;
  std::string wanted;
  for (const auto& piece : object.content) wanted += base::as_text(piece);
  return content->text() == wanted;
}

std::vector<bool> S3Storage::copy(std::span<const Copy> copies) {
  for (const Copy& copy : copies) {
    transfers_.check(copy.from);
    transfers_.check(copy.to);
  }
  settle();
  std::vector<bool> copied(copies.size());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    S3Request copy = transfers_.request("PUT", copies[i].to);
    copy.headers = transfers_.write_headers();
    copy.headers.emplace_back(
        "x-amz-copy-source",
        base::percent_encode("/" + transfers_.location().bucket + "/" + transfers_.key_of(copies[i].from), true));
    copy.body = net::Body{};
    client().start(std::move(copy), [this, &copied, i, from = copies[i].from](S3Response&& response) {
      if (is_missing(response)) return;
      if (!response.ok()) transfers_.fail("copy", from, response);
      copied[i] = true;
    });
  }
  client().finish();
  return copied;
}

std::string S3Storage::save_blob(const std::string& directory, Pieces content, int) {
  const std::uint64_t size = value::total_size(content);
  std::string key = value::key_of(content, size > value::kFlatLimit ? base::available_cpus() : 1);
  const std::string path = blob_path(directory, key);
  net::Headers headers = transfers_.write_headers();
  headers.push_back(blob_attributes());
  if (size > kMaxBackgroundBlob) {
    // A HEAD request costs less than sending an existing blob.
    if (!renew_blob(path, size)) upload(path, content, headers);
    return key;
  }
  if (in_background_bytes_ + size > kMaxInBackground) settle();
  std::string copy;
  copy.reserve(size);
  for (const auto& piece : content) copy += base::as_text(piece);
  transfers_.start_whole_upload(path, net::text_body(std::move(copy)), std::move(headers), [] {});
  in_background_bytes_ += size;
  client().poll();
  return key;
}

/// Whether an existing blob can be used instead of uploading it. Then it is young: a copy to its own name renews its
/// time. An object is complete if it exists. One of another size is packed.
bool S3Storage::renew_blob(const std::string& path, std::uint64_t size) {
  constexpr std::uint64_t kMaxCopy = 5ULL << 30U;  // S3's limit
  settle();
  const S3Response found = client().perform(transfers_.request("HEAD", path));
  if (is_missing(found)) return false;
  if (!found.ok()) transfers_.fail("examine", path, found);
  const auto modified = base::parse_http_date(found.header("last-modified").value_or(""));
  const auto now = base::parse_http_date(found.header("date").value_or(""));
  if (modified && now && *now - *modified < kBlobIsYoung / kMicroseconds) return true;
  if (size > kMaxCopy || parse_size(found.header("content-length").value_or("")) != size) return false;
  S3Request copy = transfers_.request("PUT", path);
  copy.headers = transfers_.write_headers();
  copy.headers.push_back(blob_attributes());
  copy.headers.emplace_back("x-amz-metadata-directive", "REPLACE");
  copy.headers.emplace_back(
      "x-amz-copy-source",
      base::percent_encode("/" + transfers_.location().bucket + "/" + transfers_.key_of(path), true));
  copy.body = net::Body{};
  const S3Response copied = client().perform(std::move(copy));
  return copied.ok();  // else the upload reports why
}

std::optional<Link> S3Storage::link(const std::string& path, std::int64_t seconds) {
  std::string url = client().presign("GET", transfers_.location().bucket, transfers_.key_of(path), seconds);
  const std::int64_t expire = client().keys_expire();
  const std::int64_t end = transfers_.clock().wall_microseconds() / 1'000'000 + seconds;
  return Link{std::move(url), expire == 0 ? end : std::min(expire, end)};
}

}  // namespace metaflow::store
