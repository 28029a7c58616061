#include "store/s3/s3_transfers.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
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

net::Body slice(const net::Body& body, std::uint64_t begin, std::uint64_t end) {
  net::Body part{.owner = body.owner};
  std::uint64_t at = 0;
  for (const auto& piece : body.pieces) {
    const std::uint64_t from = std::max(begin, at);
    const std::uint64_t to = std::min<std::uint64_t>(end, at + piece.size());
    if (from < to) part.pieces.push_back(piece.subspan(from - at, to - from));
    at += piece.size();
  }
  const std::uint64_t from = std::max(begin, at);
  const std::uint64_t to = std::min<std::uint64_t>(end, at + body.fd_size);
  if (body.fd >= 0 && from < to) {
    part.fd = body.fd;
    part.fd_offset = body.fd_offset + (from - at);
    part.fd_size = to - from;
  }
  return part;
}

[[noreturn]] void throw_system(const std::string& operation, const std::string& file) {
  throw std::system_error(errno, std::generic_category(), operation + " " + file);
}

net::Header if_absent() { return {"If-None-Match", "*"}; }

}  // namespace

net::Body body_of(Pieces pieces) { return {.pieces = {pieces.begin(), pieces.end()}}; }

bool is_missing(const S3Response& response) {
  return response.status == 404 && response.code != "NoSuchBucket" && response.code != "NoSuchUpload";
}

S3Destination::S3Destination(std::uint64_t size, std::string file) : size_(size), file_(std::move(file)) {
  if (!file_.empty() && size > kWrittenAtOnce) {
    open_file();
    // Not every file system can reserve space. Then a full disk is noticed when it is full.
    if (::fallocate(fd_.get(), 0, 0, static_cast<off_t>(size)) < 0 && (errno == ENOSPC || errno == EDQUOT))
      throw_system("Cannot write", file_);
  } else if (!file_.empty() || size < kSpoolFrom) {
    buffer_ = std::make_unique_for_overwrite<std::byte[]>(size);
  } else {
    spool_.emplace(base::make_temporary_file(size));  // a disk that fills up later would raise a signal in the writer
  }
}

void S3Destination::open_file() {
  fd_.reset(::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!fd_) throw_system("Cannot create", file_);
}

net::Sink S3Destination::sink(std::uint64_t begin, std::uint64_t length) const {
  if (buffer_) return net::MemorySink{{buffer_.get() + begin, length}};
  return net::FileSink{fd_ ? fd_.get() : spool_->fd(), begin, length};
}

base::SharedBytes S3Destination::take() {
  if (!file_.empty()) {
    if (!fd_) open_file();
    for (std::uint64_t at = 0; buffer_ && at < size_;) {
      const ssize_t count = ::write(fd_.get(), buffer_.get() + at, size_ - at);
      if (count < 0 && errno != EINTR) throw_system("Cannot write", file_);
      at += static_cast<std::uint64_t>(std::max<ssize_t>(count, 0));
    }
    fd_.reset();
    return {};
  }
  if (buffer_) {
    std::shared_ptr<const std::byte[]> owner = std::move(buffer_);
    return base::SharedBytes({owner.get(), size_}, owner);
  }
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, spool_->fd(), 0);
  if (mapped == MAP_FAILED) base::throw_errno("map", "a temporary file", errno);
  std::shared_ptr<const void> owner(
      mapped, [length = size_](const void* memory) { ::munmap(const_cast<void*>(memory), length); });
  return base::SharedBytes({static_cast<const std::byte*>(mapped), size_}, std::move(owner));
}

struct S3Transfers::Download {
  S3Wanted wanted;
  Received done;
  S3Received received{};
  std::optional<S3Destination> destination{};
  std::string etag{};
  std::size_t parts_left = 0;
  int restarts = 0;
  bool changed = false;  // the object changed between two parts
};

struct S3Transfers::Upload {
  S3New object;
  std::uint64_t size = 0;
  Uploaded done{};
  std::string id{};
  std::vector<std::string> etags{};
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

S3Transfers::S3Transfers(S3Transfers& other, const std::string& root)
    : root_(root),
      names_(other.names_),
      location_(parse_s3_url(root)),
      client_(other.client_.options(), clock_, other.client_.config(), other.client_.session()) {
  while (root_.ends_with('/')) root_.pop_back();
}

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
  start_receiving({.path = path}, [this, path, done = std::move(done)](S3Received&& received) {
    if (is_missing(received.response)) return done(std::nullopt);
    if (received.response.status == 416) return done(base::SharedBytes(std::string()));  // the object is empty
    if (!received.response.ok()) fail("read", path, received.response);
    done(std::move(received.content));
  });
}

void S3Transfers::start_receiving(S3Wanted wanted, Received done) {
  start_download(std::make_shared<Download>(Download{.wanted = std::move(wanted), .done = std::move(done)}));
}

/// Requests the first part. Most objects have only one, and the answer contains the size of the object.
void S3Transfers::start_download(const std::shared_ptr<Download>& download) {
  const S3Wanted& wanted = download->wanted;
  S3Request first = request("GET", wanted.path);
  first.range = {.begin = wanted.begin, .size = std::min(wanted.size, kPart)};
  first.choose_sink = [download](const net::Response& response) -> net::Sink {
    const S3Wanted& wanted = download->wanted;
    download->destination.reset();  // of an earlier attempt
    download->received.file_failure = {};
    const auto total = total_of(response);
    if (response.status != 206 && (wanted.begin > 0 || !total || wanted.size < *total)) {
      if (wanted.begin == 0 && wanted.size == net::kUnlimited && wanted.file.empty()) return {};
      throw std::runtime_error("the server does not support range requests");
    }
    if (response.status == 206) {
      const auto range = parse_content_range(response.header("content-range").value_or(""));
      if (!range || range->first != wanted.begin) return {};  // reported when the request has ended
    }
    download->received.total = *total;
    download->etag = response.header("etag").value_or("");
    try {
      download->destination.emplace(std::min(wanted.size, *total - wanted.begin), wanted.file);
    } catch (const std::system_error& error) {
      download->received.file_failure = error.code();
      throw;
    }
    const std::uint64_t size = download->destination->size();
    return download->destination->sink(0, response.status == 206 ? std::min(size, kPart) : size);
  };
  client_.start(std::move(first), [this, download](S3Response&& response) {
    S3Received& received = download->received;
    received.response = std::move(response);
    if (!received.response.ok()) return download->done(std::move(received));
    if (!download->destination) {
      received.size = received.total = received.response.body.size();
      received.content = base::SharedBytes(std::move(received.response.body));
      download->done(std::move(received));
    } else if (received.response.received < download->destination->size()) {
      download_rest(download);
    } else {
      end_download(download);
    }
  });
}

void S3Transfers::end_download(const std::shared_ptr<Download>& download) {
  S3Received& received = download->received;
  received.size = download->destination->size();
  try {
    received.content = download->destination->take();
  } catch (const std::system_error& error) {
    received.file_failure = error.code();
  }
  download->destination.reset();
  download->done(std::move(received));
}

void S3Transfers::download_rest(const std::shared_ptr<Download>& download) {
  const std::uint64_t size = download->destination->size();
  download->parts_left = (size - 1) / kPart;
  download->changed = false;
  for (std::uint64_t begin = kPart; begin < size; begin += kPart) {
    const std::uint64_t length = std::min(kPart, size - begin);
    S3Request part = request("GET", download->wanted.path);
    part.range = {.begin = download->wanted.begin + begin, .size = length};
    part.choose_sink = [download, begin, length](const net::Response& response) -> net::Sink {
      if (response.status != 206 || response.header("etag").value_or("") != download->etag) {
        download->changed = true;
        return net::MemorySink{};  // the server may send another, whole object: it is discarded
      }
      return download->destination->sink(begin, length);
    };
    client_.start(std::move(part), [this, download, length](S3Response&& response) {
      const std::string& path = download->wanted.path;
      if (response.status == 404 || response.status == 416 || (response.ok() && response.received != length)) {
        download->changed = true;
      } else if (!response.ok() && !download->changed) {
        fail("read", path, response);
      }
      if (--download->parts_left > 0) return;
      if (!download->changed) return end_download(download);
      if (++download->restarts > kMostRestarts)
        throw Error(ErrorCode::data_store,
                    fmt::format("Cannot read '{}/{}': it changed repeatedly during the read", root_, path));
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

void S3Transfers::start_upload(S3New object, Uploads& uploads, Uploaded done) {
  auto upload = std::make_shared<Upload>(Upload{.object = std::move(object), .done = std::move(done)});
  upload->size = upload->object.content.size();
  const bool in_parts = upload->size > kWholeUpTo;
  S3Request begin = request(in_parts ? "POST" : "PUT", upload->object.path);
  begin.headers = upload->object.headers;
  if (!in_parts) {
    if (upload->object.if_absent) begin.headers.push_back(if_absent());
    begin.body = std::move(upload->object.content);
    return client_.start(std::move(begin),
                         [this, upload](S3Response&& response) { end_upload(upload, std::move(response)); });
  }
  uploads.push_back(upload);
  begin.query = {{"uploads", ""}};
  begin.body = net::Body{};
  client_.start(std::move(begin), [this, upload](S3Response&& response) {
    if (!response.ok()) return end_upload(upload, std::move(response));
    if (const auto xml = net::parse_xml(response.body)) upload->id = xml->text_of("UploadId");
    if (upload->id.empty()) fail("write", upload->object.path, response);
    upload_parts(upload);
  });
}

void S3Transfers::end_upload(const std::shared_ptr<Upload>& upload, S3Response&& response) {
  if (response.ok()) upload->id.clear();
  upload->object.content = {};  // its file is closed
  if (upload->done) return upload->done(std::move(response));
  if (!response.ok()) fail("write", upload->object.path, response);
}

void S3Transfers::upload_parts(const std::shared_ptr<Upload>& upload) {
  const std::uint64_t part_size = std::max(kWholeUpTo, (upload->size + kMostParts - 1) / kMostParts);
  const std::size_t parts = (upload->size + part_size - 1) / part_size;
  upload->etags.resize(parts);
  upload->parts_left = parts;
  for (std::size_t i = 0; i < parts; ++i) {
    const std::uint64_t begin = i * part_size;
    S3Request part = request("PUT", upload->object.path);
    part.query = {{"partNumber", std::to_string(i + 1)}, {"uploadId", upload->id}};
    part.body = slice(upload->object.content, begin, std::min(begin + part_size, upload->size));
    client_.start(std::move(part), [this, upload, i](S3Response&& response) {
      if (!response.ok()) fail("write", upload->object.path, response);
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
  S3Request complete = request("POST", upload->object.path);
  complete.query = {{"uploadId", upload->id}};
  complete.headers = {{"Content-Type", "application/xml"}};
  if (upload->object.if_absent) complete.headers.push_back(if_absent());
  complete.body = net::text_body(text + "</CompleteMultipartUpload>");
  client_.start(std::move(complete), [this, upload](S3Response&& response) {
    if (response.ok() || response.code != "NoSuchUpload" || !response.after_lost_reply)
      return end_upload(upload, std::move(response));
    // An earlier attempt may have completed it.
    client_.start(request("HEAD", upload->object.path), [this, upload, first = response](S3Response&& found) {
      if (!found.ok() || parse_size(found.header("content-length").value_or("")) != upload->size)
        fail("write", upload->object.path, first);
      end_upload(upload, std::move(found));
    });
  });
}

void S3Transfers::abort(const Uploads& uploads) {
  for (const auto& upload : uploads) {
    if (upload->id.empty()) continue;
    S3Request abort = request("DELETE", upload->object.path);
    abort.query = {{"uploadId", upload->id}};
    upload->id.clear();
    try {
      client_.perform(std::move(abort));
    } catch (const Error&) {  // the original error is already on its way to the caller
    }
  }
}

}  // namespace metaflow::store
