#include "store/s3/s3_objects.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/format.h"
#include "base/iso_time.h"
#include "store/s3/content_range.h"

namespace metaflow::store {

namespace {

// Metaflow's clients keep all metadata of the user in this one.
constexpr const char* kUserAttributes = "x-amz-meta-metaflow-user-attributes";
constexpr const char* kEncryption = "x-amz-server-side-encryption";

S3Info info_of(const net::Response& response, std::uint64_t size) {
  auto text = [&](const char* name) { return std::string(response.header(name).value_or("")); };
  return {.size = size,
          .content_type = text("content-type"),
          .encryption = text(kEncryption),
          .user_attributes = text(kUserAttributes),
          .modified = base::parse_http_date(text("last-modified")).value_or(0)};
}

net::Headers headers_of(const S3Put& put) {
  net::Headers headers;
  if (!put.content_type.empty()) headers.emplace_back("Content-Type", put.content_type);
  if (!put.encryption.empty()) headers.emplace_back(kEncryption, put.encryption);
  if (!put.user_attributes.empty()) headers.emplace_back(kUserAttributes, put.user_attributes);
  return headers;
}

/// Keeps the file open.
net::Body file_body(const std::string& path) {
  auto file = std::make_shared<base::Fd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat found {};
  if (!*file || ::fstat(file->get(), &found) < 0) base::throw_errno("read", path, errno);
  if (!S_ISREG(found.st_mode))
    throw Error(ErrorCode::data_store, fmt::format("Cannot read '{}': it is not a regular file", path));
  const int fd = file->get();
  return {.fd = fd, .fd_size = static_cast<std::uint64_t>(found.st_size), .owner = std::move(file)};
}

bool is_denied(const S3Response& response) {
  return response.status == 403 || response.code == "AllAccessDisabled" || response.code == "InvalidAccessKeyId";
}

}  // namespace

S3Objects::S3Objects(S3Options options, net::AwsConfig config)
    : options_(std::move(options)), config_(std::move(config)) {}

S3Objects::~S3Objects() = default;

S3Transfers& S3Objects::transfers(const std::string& bucket) {
  std::unique_ptr<S3Transfers>& found = transfers_[bucket];
  if (found) return *found;
  const std::string root = "s3://" + bucket;
  const auto other =
      std::find_if(transfers_.begin(), transfers_.end(), [](const auto& each) { return each.second != nullptr; });
  found = other == transfers_.end() ? std::make_unique<S3Transfers>(root, options_, config_, S3Names::any)
                                    : std::make_unique<S3Transfers>(*other->second, root);
  return *found;
}

void S3Objects::start(std::vector<S3Operation> operations) {
  operations_ = std::move(operations);
  results_.assign(operations_.size(), {});
  for (std::size_t i = 0; i < operations_.size(); ++i) waiting_[operations_[i].bucket].push_back(i);
}

bool S3Objects::finish_within(std::chrono::milliseconds most) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + most;
  try {
    while (!waiting_.empty()) {
      S3Transfers& current = transfers(waiting_.begin()->first);
      start_some();
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
      if (!current.client().finish_within(left)) return false;
      current.abort(uploads_);  // those that the server refused
      uploads_.clear();
      waiting_.erase(waiting_.begin());
    }
  } catch (...) {
    cancel();
    throw;
  }
  return true;
}

void S3Objects::cancel() {
  const auto found = waiting_.empty() ? transfers_.end() : transfers_.find(waiting_.begin()->first);
  if (found != transfers_.end() && found->second) {
    found->second->client().cancel();
    found->second->abort(uploads_);
  }
  uploads_.clear();
  waiting_.clear();
  running_ = 0;
}

void S3Objects::start_some() {
  std::deque<std::size_t>& waiting = waiting_.begin()->second;
  while (running_ < kAtOnce && !waiting.empty()) {
    const std::size_t index = waiting.front();
    waiting.pop_front();
    ++running_;
    start(index);
  }
}

void S3Objects::start(std::size_t index) {
  std::visit([&](const auto& what) { start(index, what); }, operations_[index].what);
}

void S3Objects::end() {
  --running_;
  start_some();
}

/// Records a failure that a status describes; throws the others.
void S3Objects::fail(std::size_t index, std::string_view verb, const S3Response& response) {
  const S3Operation& operation = operations_[index];
  const Error error = transfers(operation.bucket).client().error(verb, operation.bucket, operation.key, response);
  S3Result& result = results_[index];
  if (response.failure) throw error;
  if (response.status == 404) {
    result.status = S3Status::missing;
  } else if (is_denied(response)) {
    result.status = S3Status::denied;
  } else if (response.status == 416) {
    result.status = S3Status::invalid_range;
  } else {
    throw error;
  }
  result.error = error.what();
  end();
}

// --- reading

void S3Objects::start(std::size_t index, const S3Get& get) {
  if (get.last == 0) return receive(index, {operations_[index].key, get.begin, get.size, get.file});
  // The parts of a large range can only be requested by their positions.
  S3Transfers& transfers = this->transfers(operations_[index].bucket);
  transfers.client().start(transfers.request("HEAD", operations_[index].key), [this, index](S3Response&& response) {
    const S3Operation& operation = operations_[index];
    if (!response.ok()) return fail(index, "read", response);
    const auto& get = std::get<S3Get>(operation.what);
    const std::uint64_t size = parse_size(response.header("content-length").value_or("")).value_or(0);
    receive(index, {operation.key, size - std::min(size, get.last), get.last, get.file});
  });
}

void S3Objects::receive(std::size_t index, S3Wanted wanted) {
  const bool is_whole = wanted.begin == 0 && wanted.size == net::kUnlimited;
  const std::uint64_t begin = wanted.begin;
  S3Transfers& transfers = this->transfers(operations_[index].bucket);
  transfers.start_receiving(std::move(wanted), [this, index, begin, is_whole](S3Received&& received) {
    S3Result& result = results_[index];
    if (const int failure = received.file_failure.value(); failure != 0) {
      const std::string& file = std::get<S3Get>(operations_[index].what).file;
      if (failure != ENOSPC && failure != EDQUOT) base::throw_errno("write", file, failure);
      result.status = S3Status::disk_full;
      result.error = fmt::format("Cannot write {}: {}", file, received.file_failure.message());
      return end();
    }
    if (is_whole && received.response.status == 416) {
      // The object is empty. This answer says nothing else about it.
      S3Destination(0, std::get<S3Get>(operations_[index].what).file).take();
      return start(index, S3Head{});
    }
    if (!received.response.ok()) return fail(index, "read", received.response);
    result.info = info_of(received.response, received.total);
    result.begin = begin;
    result.size = received.size;
    end();
  });
}

void S3Objects::start(std::size_t index, const S3Head&) {
  const S3Operation& operation = operations_[index];
  S3Transfers& transfers = this->transfers(operation.bucket);
  transfers.client().start(transfers.request("HEAD", operation.key), [this, index](S3Response&& response) {
    if (!response.ok()) return fail(index, "examine", response);
    const auto size = parse_size(response.header("content-length").value_or(""));
    results_[index].info = info_of(response, size.value_or(0));
    end();
  });
}

void S3Objects::start(std::size_t index, const S3List& list) {
  const S3Operation& operation = operations_[index];
  list_page(index, std::make_shared<S3Listing>(operation.bucket, operation.key, list.all));
}

void S3Objects::list_page(std::size_t index, const std::shared_ptr<S3Listing>& listing) {
  const S3Operation& operation = operations_[index];
  transfers(operation.bucket).client().start(listing->next_page(), [this, index, listing](S3Response&& response) {
    if (!response.ok()) return fail(index, "list", response);
    auto& listed = results_[index].listed;
    const std::string fault = listing->add(response, [&](S3Listed&& found) { listed.push_back(std::move(found)); });
    if (!fault.empty()) {
      response.failure = net::Failure{.text = fault};
      return fail(index, "list", response);
    }
    if (!listing->is_complete()) return list_page(index, listing);
    end();
  });
}

// --- writing

void S3Objects::start(std::size_t index, const S3Put& put) {
  if (put.overwrite) return upload(index, false);
  // Servers that do not know the condition ignore it, and this request costs less than to send the object in vain.
  S3Transfers& transfers = this->transfers(operations_[index].bucket);
  transfers.client().start(transfers.request("HEAD", operations_[index].key), [this, index](S3Response&& response) {
    if (is_missing(response)) return upload(index, true);
    if (!response.ok()) return fail(index, "examine", response);
    results_[index].status = S3Status::exists;
    end();
  });
}

void S3Objects::upload(std::size_t index, bool if_absent) {
  const S3Operation& operation = operations_[index];
  const auto& put = std::get<S3Put>(operation.what);
  net::Body body = put.file.empty() ? net::Body{.pieces = {put.content}} : file_body(put.file);
  transfers(operation.bucket)
      .start_upload({operation.key, std::move(body), headers_of(put), if_absent}, uploads_,
                    [this, index, if_absent](S3Response&& response) {
                      if (if_absent && (response.status == 501 || response.code == "NotImplemented"))
                        return upload(index, false);
                      // After a lost reply the object is most likely the one that was sent.
                      const bool is_there = if_absent && response.status == 412;
                      if (is_there && !response.after_lost_reply) results_[index].status = S3Status::exists;
                      if (!response.ok() && !is_there) return fail(index, "write", response);
                      end();
                    });
}

}  // namespace metaflow::store
