#include "store/s3/s3_transfers.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/format.h"
#include "base/temporary.h"
#include "net/xml.h"
#include "store/names.h"
#include "store/s3/content_range.h"
#include "value/key.h"

namespace metaflow::store {

namespace {

constexpr std::uint64_t kMostParts = 10'000;  // S3's limit
constexpr int kMostRestarts = 5;

/// The size of the whole object, from an answer with its first part or with the whole object.
std::optional<std::uint64_t> total_of(const net::Response& response) {
  if (response.status != 206) return parse_size(response.header("content-length").value_or(""));
  const auto range = parse_content_range(response.header("content-range").value_or(""));
  return range ? std::optional(range->total) : std::nullopt;
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

}  // namespace

net::Body body_of(Pieces pieces) { return {.pieces = {pieces.begin(), pieces.end()}}; }

bool is_missing(const S3Response& response) {
  return response.status == 404 && response.code != "NoSuchBucket" && response.code != "NoSuchUpload";
}

S3Destination::S3Destination(std::uint64_t size) : size_(size) {
  if (size < kSpoolFrom) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(size);
    return;
  }
  spool_.emplace(base::make_temporary_file(size));  // a disk that fills up later would raise a signal in the writer
}

net::Sink S3Destination::sink(std::uint64_t begin, std::uint64_t length) const {
  if (buffer_) return net::MemorySink{{buffer_.get() + begin, length}};
  return net::FileSink{spool_->fd(), begin, length};
}

base::SharedBytes S3Destination::take() {
  if (buffer_) {
    std::shared_ptr<const std::byte[]> owner = std::move(buffer_);
    return base::SharedBytes({owner.get(), size_}, owner);
  }
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, spool_->fd(), 0);
  if (mapped == MAP_FAILED) base::throw_errno("map", "a temporary file", errno);
  std::shared_ptr<const void> owner(
      mapped, [length = size_](const void* memory) { ::munmap(const_cast<void*>(memory), length); });
  return base::SharedBytes({static_cast<const std::byte*>(mapped), size_}, std::move(owner));
}

struct S3Transfers::Download {
  std::string path;
  Downloaded done;  // called with nothing if the object does not exist
  std::optional<S3Destination> destination;
  std::string etag;
  std::size_t parts_left = 0;
  int restarts = 0;
  bool changed = false;  // the object changed between two parts
};

struct S3Transfers::Upload {
  std::string path;
  std::vector<std::span<const std::byte>> content;
  std::uint64_t size = 0;
  net::Headers headers;
  std::string id;
  std::vector<std::string> etags;
  std::size_t parts_left = 0;
};

S3Transfers::S3Transfers(const std::string& root, S3Options options, net::AwsConfig config, S3Names names)
    : root_(root),
      names_(names),
      location_(parse_s3_url(root)),
      client_(std::move(options), clock_, std::move(config)) {
  while (root_.ends_with('/')) root_.pop_back();
}

S3Transfers::S3Transfers(S3Transfers& other, S3Options options)
    : root_(other.root_),
      names_(other.names_),
      location_(other.location_),
      client_(std::move(options), clock_, other.client_.config(), other.client_.session()) {}

std::string S3Transfers::key_of(const std::string& path) const {
  check(path);
  return unchecked_key_of(path);
}

std::string S3Transfers::unchecked_key_of(const std::string& path) const {
  if (location_.prefix.empty()) return path;
  return path.empty() ? location_.prefix : location_.prefix + "/" + path;
}

void S3Transfers::check(const std::string& path) const {
  if (names_ == S3Names::of_store) check_object_path(path);
}

S3Request S3Transfers::request(const std::string& method, const std::string& path) const {
  return {.method = method, .bucket = location_.bucket, .key = key_of(path)};
}

net::Headers S3Transfers::write_headers() const {
  if (client_.options().encryption.empty()) return {};
  return {{"x-amz-server-side-encryption", client_.options().encryption}};
}

void S3Transfers::fail(std::string_view operation, const std::string& path, const S3Response& response) const {
  throw client_.error(operation, location_.bucket, unchecked_key_of(path), response);
}

// --- reading

void S3Transfers::start_download(const std::string& path, Downloaded done) {
  start_download(std::make_shared<Download>(Download{path, std::move(done), {}, {}}));
}

/// Requests the first part. Most objects have only one, and the answer contains the size of the object.
void S3Transfers::start_download(const std::shared_ptr<Download>& download) {
  S3Request first = request("GET", download->path);
  first.range = {.begin = 0, .size = kPart};
  first.choose_sink = [download](const net::Response& response) -> net::Sink {
    download->destination.reset();  // of an earlier attempt
    const auto total = total_of(response);
    if (!total) return {};
    download->destination.emplace(*total);
    download->etag = response.header("etag").value_or("");
    return download->destination->sink(0, response.status == 206 ? std::min(*total, kPart) : *total);
  };
  client_.start(std::move(first), [this, download](S3Response&& response) {
    if (is_missing(response)) return download->done(std::nullopt);
    if (response.status == 416) return download->done(base::SharedBytes(std::string()));  // the object is empty
    if (!response.ok()) fail("read", download->path, response);
    if (!download->destination) {
      download->done(base::SharedBytes(std::move(response.body)));
    } else if (response.received < download->destination->size()) {
      download_rest(download);
    } else {
      download->done(download->destination->take());
    }
  });
}

void S3Transfers::download_rest(const std::shared_ptr<Download>& download) {
  const std::uint64_t total = download->destination->size();
  download->parts_left = (total - 1) / kPart;
  download->changed = false;
  for (std::uint64_t begin = kPart; begin < total; begin += kPart) {
    const std::uint64_t length = std::min(kPart, total - begin);
    S3Request part = request("GET", download->path);
    part.range = {.begin = begin, .size = length};
    part.choose_sink = [download, begin, length](const net::Response& response) -> net::Sink {
      if (response.status != 206 || response.header("etag").value_or("") != download->etag) {
        download->changed = true;
        return net::MemorySink{};  // the server may send another, whole object: it is discarded
      }
      return download->destination->sink(begin, length);
    };
    client_.start(std::move(part), [this, download, length](S3Response&& response) {
      if (response.status == 404 || response.status == 416 || (response.ok() && response.received != length)) {
        download->changed = true;
      } else if (!response.ok() && !download->changed) {
        fail("read", download->path, response);
      }
      if (--download->parts_left > 0) return;
      if (!download->changed) return download->done(download->destination->take());
      if (++download->restarts > kMostRestarts)
        throw Error(ErrorCode::data_store,
                    fmt::format("Cannot read '{}/{}': it changed repeatedly during the read", root_, download->path));
      download->destination.reset();
      start_download(download);
    });
  }
}

// --- writing

void S3Transfers::start_whole_upload(const std::string& path, net::Body content, net::Headers headers,
                                     std::function<void()> done) {
  S3Request whole = request("PUT", path);
  whole.headers = std::move(headers);
  whole.body = std::move(content);
  client_.start(std::move(whole), [this, path, done = std::move(done)](S3Response&& response) {
    if (!response.ok()) fail("write", path, response);
    done();
  });
}

void S3Transfers::start_upload(const std::string& path, Pieces content, net::Headers headers, Uploads& uploads) {
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

void S3Transfers::upload_parts(const std::shared_ptr<Upload>& upload) {
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

void S3Transfers::complete_upload(const std::shared_ptr<Upload>& upload) {
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
    // An earlier attempt may have completed it.
    client_.start(request("HEAD", upload->path), [this, upload, first = response](S3Response&& found) {
      if (!found.ok() || parse_size(found.header("content-length").value_or("")) != upload->size)
        fail("write", upload->path, first);
      upload->id.clear();
    });
  });
}

void S3Transfers::abort(const Uploads& uploads) {
  for (const auto& upload : uploads) {
    if (upload->id.empty()) continue;
    S3Request abort = request("DELETE", upload->path);
    abort.query = {{"uploadId", upload->id}};
    try {
      client_.perform(std::move(abort));
    } catch (const Error&) {  // the original error is already on its way to the caller
    }
  }
}

}  // namespace metaflow::store
