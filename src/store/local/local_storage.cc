#include "store/local/local_storage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <thread>

#include <metaflow/error.h>

#include "base/clock.h"
#include "base/cpus.h"
#include "base/file_tree.h"
#include "base/files.h"
#include "base/helpers.h"
#include "base/mutex.h"
#include "base/plain_file.h"
#include "base/text.h"
#include "value/gzip.h"
#include "value/key.h"

namespace metaflow::store {

namespace {

/// Keeps the last exception of several threads.
class LastFailure {
 public:
  /// Called from within a catch handler.
  void note() {
    const base::MutexLock lock(mutex_);
    what_ = std::current_exception();
  }
  void throw_if_any() {
    const base::MutexLock lock(mutex_);
    if (what_) std::rethrow_exception(what_);
  }

 private:
  base::Mutex mutex_;
  std::exception_ptr what_ MF_GUARDED_BY(mutex_);
};

/// A path like "Flow/data/ab/abc...": the object may be as large as a value.
bool is_blob(std::string_view path) {
  const std::size_t flow = path.find('/');
  return flow != std::string_view::npos && path.substr(flow + 1).starts_with("data/");
}

}  // namespace

std::vector<std::optional<base::SharedBytes>> LocalStorage::get(std::span<const std::string> paths) {
  std::vector<std::optional<base::SharedBytes>> contents;
  contents.reserve(paths.size());
  for (const std::string& path : paths) {
    contents.push_back(is_blob(path) ? base::read_plain_file(full(path))
                                     : base::read_plain_file(full(path), base::kMaxLogSize));
  }
  return contents;
}

std::vector<std::optional<std::uint64_t>> LocalStorage::sizes(std::span<const std::string> paths) {
  std::vector<std::optional<std::uint64_t>> sizes;
  sizes.reserve(paths.size());
  for (const std::string& path : paths) sizes.push_back(base::file_size(full(path)));
  return sizes;
}

void LocalStorage::put(std::span<const Object> objects) {
  for (const Object& object : objects) {
    if (object.common && object.content.size() == 1) {
      links_.create(full(object.path), base::as_text(object.content[0]));
      continue;
    }
    // The object is nearly always new: creating costs no more than replacing, and leaves no temporary file if killed.
    if (!base::create_file(full(object.path), object.content)) base::replace_file(full(object.path), object.content);
  }
}

bool LocalStorage::create(const Object& object) { return base::create_file(full(object.path), object.content); }

std::vector<bool> LocalStorage::copy(std::span<const Copy> copies) {
  std::vector<bool> copied;
  for (const Copy& copy : copies) copied.push_back(copy_one(copy));
  return copied;
}

bool LocalStorage::copy_one(const Copy& copy) {
  if (base::link_file(full(copy.from), full(copy.to))) return true;
  const auto content = base::read_plain_file(full(copy.from), base::kMaxLogSize);
  if (content) store::put(*this, OwnedObject{copy.to, *content});
  return content.has_value();
}

std::vector<Entry> LocalStorage::list(const std::string& path) {
  std::vector<Entry> entries;
  const std::string whole = path.empty() ? root_ : full(path);
  for (std::string& name : base::list_directory(whole)) {
    const auto directory = base::is_directory(whole + "/" + name);
    if (directory) entries.push_back({std::move(name), *directory});
  }
  return entries;
}

/// Whether the blob exists and is whole. A file of another size was either packed by Python or truncated by a power
/// loss.
bool LocalStorage::has_blob(const std::string& path, std::uint64_t size) const {
  const auto found = base::file_size(path);
  if (!found) return false;
  if (*found == size) return true;
  const base::Fd file = base::open_plain_file(path, O_RDONLY);
  std::array<std::byte, 16> begin{};
  const ssize_t count = ::pread(file.get(), begin.data(), begin.size(), 0);
  return count > 0 && value::is_gzip(std::span(begin).first(static_cast<std::size_t>(count)));
}

/// Whether an existing blob can be used instead of writing it. Then it is young, so that it is not removed before an
/// object refers to it (see remove_blob).
bool LocalStorage::reuse_blob(const std::string& path, Pieces content) const {
  if (!has_blob(path, value::total_size(content))) return false;
  const auto status = base::file_status(path);
  if (!status) return false;
  if (base::SystemClock().wall_microseconds() - status->modified < kBlobIsYoung) return true;
  switch (base::touch_file(path)) {
    case base::Touched::yes: return true;
    case base::Touched::missing: return false;
    case base::Touched::not_permitted: break;
  }
  try {  // another user's file
    base::replace_file(path, content);
  } catch (const Error&) {  // another user's directory
  }
  return base::exists(path);
}

void LocalStorage::create_side_file(const std::string& path) {
  links_.create(path + std::string(kSideFile), R"({"cas_raw": true, "cas_version": 1})");
}

/// Called after the blob was created: a collector may have removed the side file of an older blob in between.
void LocalStorage::keep_side_file(const std::string& path) {
  if (!base::exists(path + std::string(kSideFile))) create_side_file(path);
}

std::string LocalStorage::save_blob(const std::string& directory, Pieces content, int spool_file) {
  const std::uint64_t size = value::total_size(content);
  if (size > value::kFlatLimit) return save_large(directory, content, spool_file);
  std::string key = value::key_of(content);
  const std::string path = full(blob_path(directory, key));
  if (reuse_blob(path, content)) return key;
  create_side_file(path);  // first: readers take a raw blob without this file for a packed one
  if (!base::create_file(path, content) && !has_blob(path, size)) base::replace_file(path, content);
  keep_side_file(path);
  return key;
}

std::string LocalStorage::save_large(const std::string& directory, Pieces content, int spool_file) {
  const std::uint64_t size = value::total_size(content);
  const unsigned threads = base::available_cpus();
  if (spool_file >= 0) {  // the content is already in a file, which only needs a name
    std::string key = value::key_of(content, threads);
    const std::string path = full(blob_path(directory, key));
    if (reuse_blob(path, content)) return key;
    create_side_file(path);
    if (!base::link_open_file(spool_file, path) && !has_blob(path, size)) base::replace_file(path, content);
    keep_side_file(path);
    return key;
  }

  // This thread writes, then helps the others to hash. A file system locks a file while it is written: a second writer
  // would only spin.
  value::TreeHasher hasher(content);
  base::SpoolFile file(full(directory));
  constexpr std::size_t kStep = 16;
  std::atomic<std::size_t> next{0};
  LastFailure failure;
  const auto hash = [&] {
    try {
      for (std::size_t begin = next.fetch_add(kStep); begin < hasher.chunks(); begin = next.fetch_add(kStep))
        hasher.hash(begin, std::min(begin + kStep, hasher.chunks()));
    } catch (...) {
      failure.note();
    }
  };
  {
    const std::vector<std::jthread> helpers = base::start_helpers(threads > 1 ? threads - 1 : 0, hash);
    try {
      hasher.for_each_piece(0, size,
                            [&](std::span<const std::byte> piece, std::uint64_t at) { file.write(piece, at); });
    } catch (...) {
      failure.note();
      next = hasher.chunks();
    }
    hash();
  }
  failure.throw_if_any();

  std::string key = hasher.key();
  const std::string path = full(blob_path(directory, key));
  if (reuse_blob(path, content)) return key;
  create_side_file(path);
  if (!file.publish(path) && !has_blob(path, size)) base::replace_file(path, content);
  keep_side_file(path);
  return key;
}

}  // namespace metaflow::store
