#include "store/s3/s3_storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "base/cpus.h"
#include "base/files.h"
#include "base/format.h"
#include "base/percent.h"
#include "base/text.h"
#include "net/xml.h"
#include "store/names.h"
#include "value/gzip.h"
#include "value/key.h"

namespace metaflow::store {

namespace {

constexpr std::uint64_t kBehindUpTo = 1U << 20U;   // a blob of this size at most is written behind,
constexpr std::uint64_t kMostBehind = 32U << 20U;  // and so much of them in all
constexpr std::uint64_t kMostParts = 10'000;       // S3's limit
constexpr std::uint64_t kListAtOnce = 1'000;
constexpr int kMostRestarts = 5;

/// How a blob says that it is not packed.
net::Header blob_attributes() {
  return {"x-amz-meta-metaflow-user-attributes", R"({"cas_raw": true, "cas_version": 1})"};
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The size of the whole object: from "bytes 0-8388607/123456789", or of all that comes.
std::optional<std::uint64_t> total_of(const net::Response& response) {
  if (const auto range = response.header("content-range"))
    return number(range->substr(std::min(range->rfind('/') + 1, range->size())));
  if (response.status == 206) return std::nullopt;
  return number(response.header("content-length").value_or(""));
}

std::vector<std::span<const std::byte>> slice(Pieces pieces, std::uint64_t begin, std::uint64_t end) {
  std::vector<std::span<const std::byte>> part;
  std::uint64_t at = 0;
  for (const auto& piece : pieces) {
    const std::uint64_t from = std::max(begin, at);
    const std::uint64_t to = std::min<std::uint64_t>(end, at + piece.size());
    if (from < to) part.push_back(piece.subspan(from - at, to - from));
    at += piece.size();
  }
  return part;
}

net::Body body_of(Pieces pieces) { return {.pieces = {pieces.begin(), pieces.end()}}; }

bool is_missing(const S3Response& response) {
  return response.status == 404 && response.code != "NoSuchBucket" && response.code != "NoSuchUpload";
}

/// Memory for what comes: a buffer, or a mapped file that may be larger than the memory.
struct Destination {
  explicit Destination(std::uint64_t size) : size(size) {
    if (size < S3Storage::kSpoolFrom) {
      buffer = std::make_unique_for_overwrite<std::byte[]>(size);
      return;
    }
    const char* directory = std::getenv("TMPDIR");
    spool.emplace(directory != nullptr && *directory != '\0' ? directory : "/tmp");
    // All of it now: a disk that is full later would be a signal to whoever writes.
    if (const int error = ::posix_fallocate(spool->fd(), 0, static_cast<off_t>(size)); error != 0)
      base::throw_errno("write", "a temporary file for a large value", error);
  }

  net::Sink sink(std::uint64_t begin, std::uint64_t length) const {
    if (buffer) return net::MemorySink{{buffer.get() + begin, length}};
    return net::FileSink{spool->fd(), begin, length};
  }

  base::SharedBytes take() {
    if (buffer) {
      std::shared_ptr<const std::byte[]> owner = std::move(buffer);
      return base::SharedBytes({owner.get(), size}, owner);
    }
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, spool->fd(), 0);
    if (mapped == MAP_FAILED) base::throw_errno("map", "a temporary file", errno);
    std::shared_ptr<const void> owner(
        mapped, [length = size](const void* memory) { ::munmap(const_cast<void*>(memory), length); });
    return base::SharedBytes({static_cast<const std::byte*>(mapped), size}, std::move(owner));
  }

  std::uint64_t size;
  std::unique_ptr<std::byte[]> buffer;
  std::optional<base::SpoolFile> spool;
};

}  // namespace

struct S3Storage::Download {
  std::string path;
  Downloaded done;  // nothing: there is no such object
  std::optional<Destination> destination;
  std::string etag;
  std::size_t parts_left = 0;
  int restarts = 0;
  bool changed = false;  // the object, between two parts
};

struct S3Storage::Upload {
  std::string path;
  std::vector<std::span<const std::byte>> content;
  std::uint64_t size = 0;
  net::Headers headers;
  std::string id;
  std::vector<std::string> etags;
  std::size_t parts_left = 0;
};

S3Storage::S3Storage(const std::string& root, S3Options options, net::AwsConfig config, Names names)
    : root_(root),
      names_(names),
      location_(parse_s3_url(root)),
      client_(std::move(options), clock_, std::move(config)) {
  while (root_.ends_with('/')) root_.pop_back();
}

S3Storage::~S3Storage() = default;

std::string S3Storage::key_of(const std::string& path) const {
  check(path);
  return unchecked_key_of(path);
}

std::string S3Storage::unchecked_key_of(const std::string& path) const {
  if (location_.prefix.empty()) return path;
  return path.empty() ? location_.prefix : location_.prefix + "/" + path;
}

void S3Storage::check(const std::string& path) const {
  if (names_ == Names::of_store) check_object_path(path);
}

S3Request S3Storage::request(const std::string& method, const std::string& path) const {
  return {.method = method, .bucket = location_.bucket, .key = key_of(path)};
}

net::Headers S3Storage::write_headers() const {
  if (client_.options().encryption.empty()) return {};
  return {{"x-amz-server-side-encryption", client_.options().encryption}};
}

void S3Storage::fail(std::string_view operation, const std::string& path, const S3Response& response) const {
  throw client_.error(operation, location_.bucket, unchecked_key_of(path), response);
}

void S3Storage::settle() {
  client_.finish();
  behind_ = 0;
}

// --- reading

std::vector<std::optional<base::SharedBytes>> S3Storage::get(std::span<const std::string> paths) {
  for (const std::string& path : paths) check(path);  // all of them before anything is in flight
  settle();
  std::vector<std::optional<base::SharedBytes>> contents(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i)
    start_download(paths[i], [&content = contents[i]](auto&& got) { content = std::move(got); });
  client_.finish();
  return contents;
}

void S3Storage::start_download(const std::string& path, Downloaded done) {
  start_download(std::make_shared<Download>(Download{path, std::move(done), {}, {}}));
}

/// Asks for the first part: most objects have no other, and its answer says how large the object is.
void S3Storage::start_download(const std::shared_ptr<Download>& download) {
  S3Request first = request("GET", download->path);
  first.headers = {{"Range", fmt::format("bytes=0-{}", kPart - 1)}};
  first.choose_sink = [download](const net::Response& response) -> net::Sink {
    const auto total = total_of(response);
    if (!total) return {};
    download->destination.emplace(*total);
    download->etag = response.header("etag").value_or("");
    return download->destination->sink(0, response.status == 206 ? std::min(*total, kPart) : *total);
  };
  client_.start(std::move(first), [this, download](S3Response&& response) {
    if (is_missing(response)) return download->done(std::nullopt);
    if (response.status == 416) return download->done(base::SharedBytes(std::string()));  // there is no first byte
    if (!response.ok()) fail("read", download->path, response);
    if (!download->destination) {
      download->done(base::SharedBytes(std::move(response.body)));
    } else if (response.received < download->destination->size) {
      download_rest(download);
    } else {
      download->done(download->destination->take());
    }
  });
}

void S3Storage::download_rest(const std::shared_ptr<Download>& download) {
  const std::uint64_t total = download->destination->size;
  download->parts_left = (total - 1) / kPart;
  download->changed = false;
  for (std::uint64_t begin = kPart; begin < total; begin += kPart) {
    const std::uint64_t length = std::min(kPart, total - begin);
    S3Request part = request("GET", download->path);
    part.headers = {{"Range", fmt::format("bytes={}-{}", begin, begin + length - 1)}};
    part.choose_sink = [download, begin, length](const net::Response& response) -> net::Sink {
      if (response.status != 206 || response.header("etag").value_or("") != download->etag) {
        download->changed = true;
        return net::PieceSink([](std::span<const std::byte>) {});
      }
      return download->destination->sink(begin, length);
    };
    client_.start(std::move(part), [this, download](S3Response&& response) {
      if (response.status == 404 || response.status == 416) {
        download->changed = true;
      } else if (!response.ok()) {
        fail("read", download->path, response);
      }
      if (--download->parts_left > 0) return;
      if (!download->changed) return download->done(download->destination->take());
      if (++download->restarts > kMostRestarts)
        throw Error(ErrorCode::data_store,
                    fmt::format("Cannot read '{}/{}': it is written again and again meanwhile", root_, download->path));
      download->destination.reset();
      start_download(download);
    });
  }
}

std::vector<std::optional<std::uint64_t>> S3Storage::sizes(std::span<const std::string> paths) {
  for (const std::string& path : paths) check(path);
  settle();
  std::vector<std::optional<std::uint64_t>> sizes(paths.size());
  for (std::size_t i = 0; i < paths.size(); ++i) {
    client_.start(request("HEAD", paths[i]), [this, &path = paths[i], &size = sizes[i]](S3Response&& response) {
      if (is_missing(response)) return;
      if (!response.ok()) fail("examine", path, response);
      size = number(response.header("content-length").value_or(""));
      if (!size) fail("examine", path, response);
    });
  }
  client_.finish();
  return sizes;
}

std::optional<base::SharedBytes> S3Storage::get_range(const std::string& path, std::uint64_t offset,
                                                      std::uint64_t size) {
  settle();
  if (size == 0) return exists(*this, path) ? std::optional(base::SharedBytes(std::string())) : std::nullopt;
  S3Request part = request("GET", path);
  part.headers = {{"Range", fmt::format("bytes={}-{}", offset, offset + (size - 1))}};
  std::optional<Destination> destination;
  part.choose_sink = [&](const net::Response& response) -> net::Sink {
    const auto length = number(response.header("content-length").value_or(""));
    if (response.status != 206 || !length || *length > size)
      throw std::runtime_error("the server does not know how to send a part of an object");
    destination.emplace(*length);
    return destination->sink(0, *length);
  };
  const S3Response response = client_.perform(std::move(part));
  if (is_missing(response)) return std::nullopt;
  if (response.status == 416) return base::SharedBytes(std::string());  // it ends before
  if (!response.ok()) fail("read", path, response);
  return destination->take();
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

std::vector<S3Storage::Listed> S3Storage::list_objects(const std::string& path, bool all) {
  settle();
  std::vector<Listed> found;
  const std::string below = path.empty() ? unchecked_key_of(path) : key_of(path);
  const std::string prefix = below.empty() ? "" : below + "/";
  const std::size_t root = location_.prefix.empty() ? 0 : location_.prefix.size() + 1;
  std::string token;
  do {
    S3Request page{.bucket = location_.bucket,
                   .query = {{"list-type", "2"},
                             {"prefix", prefix},
                             {"max-keys", std::to_string(kListAtOnce)},
                             // XML cannot hold every character that a key may have.
                             {"encoding-type", "url"}}};
    if (!all) page.query.emplace_back("delimiter", "/");
    if (!token.empty()) page.query.emplace_back("continuation-token", token);
    const S3Response response = client_.perform(std::move(page));
    const auto xml = response.ok() ? net::parse_xml(response.body) : std::nullopt;
    if (!xml) fail("list", path, response);
    const bool encoded = xml->text_of("EncodingType") == "url";
    auto add = [&](std::string key, const std::string& size) {
      if (encoded) {
        std::replace(key.begin(), key.end(), '+', ' ');
        key = base::percent_decode(key);
      }
      // An object that stands for the directory, or what nobody has asked for.
      if (key.size() <= prefix.size() || !key.starts_with(prefix)) return;
      found.push_back({key.substr(root), number(size).value_or(0)});
    };
    for (const net::XmlElement& element : xml->children) {
      if (element.name == "Contents") add(element.text_of("Key"), element.text_of("Size"));
      if (element.name == "CommonPrefixes") add(element.text_of("Prefix"), "");
    }
    token = xml->text_of("IsTruncated") == "true" ? xml->text_of("NextContinuationToken") : "";
  } while (!token.empty());
  return found;
}

// --- writing

void S3Storage::put(std::span<const Object> objects) {
  for (const Object& object : objects) check(object.path);
  settle();
  std::vector<std::shared_ptr<Upload>> uploads;
  try {
    for (const Object& object : objects) start_upload(object.path, object.content, write_headers(), uploads);
    client_.finish();
  } catch (...) {
    abort_uploads(uploads);
    throw;
  }
}

void S3Storage::upload(const std::string& path, Pieces content, const net::Headers& headers) {
  std::vector<std::shared_ptr<Upload>> uploads;
  try {
    start_upload(path, content, headers, uploads);
    client_.finish();
  } catch (...) {
    abort_uploads(uploads);
    throw;
  }
}

void S3Storage::start_whole_upload(const std::string& path, net::Body content, net::Headers headers,
                                   std::function<void()> done) {
  S3Request whole = request("PUT", path);
  whole.headers = std::move(headers);
  whole.body = std::move(content);
  client_.start(std::move(whole), [this, path, done = std::move(done)](S3Response&& response) {
    if (!response.ok()) fail("write", path, response);
    done();
  });
}

void S3Storage::start_upload(const std::string& path, Pieces content, net::Headers headers,
                             std::vector<std::shared_ptr<Upload>>& uploads) {
  const std::uint64_t size = value::total_size(content);
  if (size <= kWholeUpTo) return start_whole_upload(path, body_of(content), std::move(headers), [] {});
  auto upload = std::make_shared<Upload>();
  upload->path = path;
  upload->content = {content.begin(), content.end()};
  upload->size = size;
  upload->headers = std::move(headers);
  uploads.push_back(upload);
  S3Request begin = request("POST", path);
  begin.query = {{"uploads", ""}};
  begin.headers = upload->headers;
  begin.body = net::Body{};
  client_.start(std::move(begin), [this, upload](S3Response&& response) {
    const auto xml = response.ok() ? net::parse_xml(response.body) : std::nullopt;
    if (xml) upload->id = xml->text_of("UploadId");
    if (upload->id.empty()) fail("write", upload->path, response);
    upload_parts(upload);
  });
}

void S3Storage::upload_parts(const std::shared_ptr<Upload>& upload) {
  const std::uint64_t part_size = std::max(kWholeUpTo, (upload->size + kMostParts - 1) / kMostParts);
  const std::size_t parts = (upload->size + part_size - 1) / part_size;
  upload->etags.resize(parts);
  upload->parts_left = parts;
  for (std::size_t i = 0; i < parts; ++i) {
    const std::uint64_t begin = i * part_size;
    S3Request part = request("PUT", upload->path);
    part.query = {{"partNumber", std::to_string(i + 1)}, {"uploadId", upload->id}};
    part.body = net::Body{.pieces = slice(upload->content, begin, std::min(begin + part_size, upload->size))};
    client_.start(std::move(part), [this, upload, i](S3Response&& response) {
      if (!response.ok()) fail("write", upload->path, response);
      upload->etags[i] = response.header("etag").value_or("");
      if (--upload->parts_left == 0) complete_upload(upload);
    });
  }
}

void S3Storage::complete_upload(const std::shared_ptr<Upload>& upload) {
  std::string text = "<CompleteMultipartUpload>";
  for (std::size_t i = 0; i < upload->etags.size(); ++i)
    text += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1,
                        net::xml_escape(upload->etags[i]));
  S3Request complete = request("POST", upload->path);
  complete.query = {{"uploadId", upload->id}};
  complete.headers = {{"Content-Type", "application/xml"}};
  complete.body = net::text_body(text + "</CompleteMultipartUpload>");
  client_.start(std::move(complete), [this, upload](S3Response&& response) {
    if (response.ok()) {
      upload->id.clear();
      return;
    }
    if (response.code != "NoSuchUpload" || !response.after_lost_reply) fail("write", upload->path, response);
    // It may be complete by an earlier try.
    client_.start(request("HEAD", upload->path), [this, upload, first = response](S3Response&& found) {
      if (!found.ok() || number(found.header("content-length").value_or("")) != upload->size)
        fail("write", upload->path, first);
      upload->id.clear();
    });
  });
}

/// Parts of what was not completed would be paid for until somebody looks for them.
void S3Storage::abort_uploads(const std::vector<std::shared_ptr<Upload>>& uploads) {
  for (const auto& upload : uploads) {
    if (upload->id.empty()) continue;
    S3Request abort = request("DELETE", upload->path);
    abort.query = {{"uploadId", upload->id}};
    try {
      client_.perform(std::move(abort));
    } catch (const Error&) {  // what went wrong is on its way to the caller already
    }
  }
}

bool S3Storage::create(const Object& object) {
  settle();
  // First: some servers take no notice of the condition.
  if (exists(*this, object.path)) return false;
  S3Request conditional = request("PUT", object.path);
  conditional.headers = write_headers();
  conditional.headers.emplace_back("If-None-Match", "*");
  conditional.body = body_of(object.content);
  const S3Response response = client_.perform(std::move(conditional));
  if (response.ok()) return true;
  // Somebody else's, or our own, of which we have not heard.
  if (response.status == 412) return response.after_lost_reply && is_there_with(object);
  const bool unknown_condition = response.status == 501 || response.code == "NotImplemented";
  if (!unknown_condition) fail("create", object.path, response);
  put(std::span(&object, 1));
  return true;
}

bool S3Storage::is_there_with(const Object& object) {
  const auto content = store::get(*this, object.path);
  if (!content) return false;
  std::string wanted;
  for (const auto& piece : object.content) wanted += base::as_text(piece);
  return content->text() == wanted;
}

std::vector<bool> S3Storage::copy(std::span<const Copy> copies) {
  for (const Copy& copy : copies) {
    check(copy.from);
    check(copy.to);
  }
  settle();
  std::vector<bool> copied(copies.size());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    S3Request copy = request("PUT", copies[i].to);
    copy.headers = write_headers();
    copy.headers.emplace_back("x-amz-copy-source",
                              base::percent_encode("/" + location_.bucket + "/" + key_of(copies[i].from), true));
    copy.body = net::Body{};
    client_.start(std::move(copy), [this, &copied, i, from = copies[i].from](S3Response&& response) {
      if (is_missing(response)) return;
      if (!response.ok()) fail("copy", from, response);
      copied[i] = true;
    });
  }
  client_.finish();
  return copied;
}

std::string S3Storage::save_blob(const std::string& directory, Pieces content, int) {
  const std::uint64_t size = value::total_size(content);
  std::string key = value::key_of(content, size > value::kFlatLimit ? base::available_cpus() : 1);
  const std::string path = blob_path(directory, key);
  net::Headers headers = write_headers();
  headers.push_back(blob_attributes());
  if (size > kBehindUpTo) {
    // Asking costs less than sending it for nothing. An object is whole or not there; one of another size is packed.
    if (!exists(*this, path)) upload(path, content, headers);
    return key;
  }
  if (behind_ + size > kMostBehind) settle();
  std::string copy;
  copy.reserve(size);
  for (const auto& piece : content) copy += base::as_text(piece);
  start_whole_upload(path, net::text_body(std::move(copy)), std::move(headers), [] {});
  behind_ += size;
  client_.poll();
  return key;
}

std::optional<Link> S3Storage::link(const std::string& path, std::int64_t seconds) {
  settle();
  const std::int64_t expire = client_.keys_expire();
  const std::int64_t end = clock_.wall_microseconds() / 1'000'000 + seconds;
  return Link{client_.presign("GET", location_.bucket, key_of(path), seconds),
              expire == 0 ? end : std::min(expire, end)};
}

}  // namespace metaflow::store
