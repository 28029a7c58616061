#include "compute/package/package.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include <metaflow/error.h>

#include "base/files.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/process.h"
#include "base/text.h"
#include "compute/package/archive.h"

namespace metaflow::compute {

namespace {

constexpr const char* kProgram = "bin/flow";
constexpr const char* kLoader = "lib/ld.so";
constexpr const char* kRoots = "etc/ca-certificates.crt";

/// Libraries that flows open on demand.
constexpr std::array kOpenedByFlows{"libcurl.so.4"};

void sort(std::vector<PackageFile>& files) {
  std::sort(files.begin(), files.end(), [](const PackageFile& a, const PackageFile& b) { return a.name < b.name; });
}

void add(Archive& archive, const PackageFile& file) {
  if (file.content) return archive.add(file.name, base::as_bytes(*file.content), file.executable);
  // This program as it was started: the file at its path may have been replaced since.
  const bool is_own = file.source == base::own_executable();
  const auto content = base::read_file(is_own ? base::own_image() : file.source);
  if (!content)
    throw Error(ErrorCode::invalid_command, fmt::format("'{}' vanished while it was packaged", file.source));
  archive.add(file.name, content->bytes(), file.executable);
}

}  // namespace

std::uint64_t PackagePlan::size() const {
  std::uint64_t sum = 0;
  for (const PackageFile& file : files) sum += file.size;
  return sum;
}

PackagePlan plan_package(const std::string& program, const std::vector<std::string>& opened,
                         const LibraryPlaces& places) {
  const Closure closure = find_closure(program, opened, places);
  PackagePlan plan;
  plan.machine = closure.program.machine;
  plan.is_static = closure.loader.empty();
  plan.of_host = closure.of_host;
  if (base::uname_machine(plan.machine).empty()) {
    throw Error(ErrorCode::invalid_command, fmt::format("Cannot package '{}': it is for {}, which is not supported",
                                                        program, base::machine_name(plan.machine)));
  }
  auto add = [&](const std::string& name, const std::string& source, bool executable) {
    plan.files.push_back({name, source, base::file_size(source).value_or(0), executable});
  };
  add(kProgram, program, true);
  if (!plan.is_static) add(kLoader, closure.loader, true);
  for (const Library& library : closure.libraries) add("lib/" + library.name, library.path, true);
  const std::string roots = find_certificate_authorities();
  plan.has_roots = !roots.empty();
  if (plan.has_roots) add(kRoots, roots, false);
  sort(plan.files);
  return plan;
}

PackagePlan plan_own_package(const std::vector<std::string>& declared, const FlowCode* code) {
  std::vector<std::string> opened{kOpenedByFlows.begin(), kOpenedByFlows.end()};
  opened.insert(opened.end(), declared.begin(), declared.end());
  if (code != nullptr) opened.insert(opened.end(), code->libraries.begin(), code->libraries.end());
  PackagePlan plan = plan_package(base::own_executable(), opened, library_places());
  if (code != nullptr) {
    plan.files.insert(plan.files.end(), code->files.begin(), code->files.end());
    sort(plan.files);
  }
  return plan;
}

std::string note_on_size(const FlowCode& code) {
  constexpr std::uint64_t kLarge = 100'000'000;  // Metaflow's limit for its warning
  std::uint64_t size = 0;
  const PackageFile* largest = nullptr;
  for (const PackageFile& file : code.sources) {
    size += file.size;
    if (largest == nullptr || file.size > largest->size) largest = &file;
  }
  if (size <= kLarge) return {};
  return fmt::format("The package of the flow has {} of files from {}; the largest is {}, {}.\n",
                     base::human_bytes(size), code.directory, largest->name, base::human_bytes(largest->size));
}

std::string find_certificate_authorities() {
  if (const char* chosen = std::getenv("SSL_CERT_FILE"); chosen != nullptr && *chosen != '\0') {
    if (base::exists(chosen)) return chosen;
    throw Error(
        ErrorCode::invalid_command,
        fmt::format("Cannot package certificate authorities: SSL_CERT_FILE is '{}', which does not exist", chosen));
  }
  for (const char* known : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                            "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
    if (base::exists(known)) return known;
  }
  return {};
}

Package make_package(const PackagePlan& plan) {
  Archive archive;
  for (const PackageFile& file : plan.files) add(archive, file);
  std::string bytes = archive.finish();
  std::string digest = base::sha256_hex(bytes);
  return {base::SharedBytes(std::move(bytes)), std::move(digest)};
}

std::string make_code_archive(const FlowCode& code, const std::string& user) {
  using base::Json;
  Archive archive;
  archive.add(".mf_install", Json{{"module_files", Json::list()}, {"version", 1}}.dump());
  archive.add(
      ".mf_meta/INFO",
      Json{{"environment_type", "local"}, {"language", code.language}, {"script", code.script}, {"user", user}}.dump());
  for (const PackageFile& file : code.sources) add(archive, file);
  return archive.finish();
}

std::string code_package_field(std::string_view datastore, std::string_view key, std::string_view location) {
  using base::Json;
  const Json form{{"archive_format", "tgz"}, {"mfcontent_version", 1}, {"version", 0}};
  return Json{{"ds_type", datastore}, {"location", location}, {"metadata", form.dump()}, {"sha", key}}.dump();
}

std::vector<std::string> start_command(const std::string& directory, bool is_static) {
  const std::string program = directory + "/" + kProgram;
  if (is_static) return {program};
  return {directory + "/" + kLoader, "--library-path", directory + "/lib", program};
}

std::string packaged_certificate_authorities() {
  const std::string program = base::own_executable();
  const std::string root = base::directory_of(base::directory_of(program));
  if (program != root + "/" + kProgram) return {};
  const std::string roots = root + "/" + kRoots;
  return base::exists(roots) ? roots : std::string();
}

}  // namespace metaflow::compute
