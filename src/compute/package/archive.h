// A gzipped tar archive, byte for byte the same for the same files: no times, no owners.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace metaflow::compute {

/// Files are added one after the other. Why not libarchive: docs/decisions/bundled-loader.md.
class Archive {
 public:
  Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive();

  /// `name`: at most 255 characters, relative. Throws Error{invalid_command} if it is too long.
  void add(const std::string& name, std::span<const std::byte> content, bool executable);
  void add(const std::string& name, std::string_view content);
  /// Returns the whole archive; nothing can be added after that.
  std::string finish();

 private:
  class Packer;
  std::unique_ptr<Packer> packer_;
};

}  // namespace metaflow::compute
