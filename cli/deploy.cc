#include "cli/deploy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "base/nearest.h"
#include "base/sha256.h"
#include "cli/child_output.h"
#include "cli/installation.h"
#include "protocol/manifest.h"
#include "protocol/package.h"
#include "protocol/pattern.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;

// A folder with sources was named: what is deployed is made from it.
std::string build_first(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "CMakeLists.txt", error)) return {};
  return "; these are sources: build them first, then deploy functions/NAME of the build folder";
}

Result<std::string> read_manifest(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) {
    return reject(
        fmt::format("{}: {}; a function's folder holds function.toml (it may be empty) "
                    "and the handler{}",
                    file.string(), std::strerror(errno), build_first(file.parent_path())));
  }
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// Loads the handler as a worker would, in a child.
Result<void> try_loading(const fs::path& folder, const std::string& handler) {
  const auto program = find_program("fanfare-instance");
  if (!program) return program.error();
  const auto checked =
      run_and_capture({*program, "--check", (folder / handler).string()}, std::chrono::seconds{30});
  if (!checked) return checked.error();
  if (checked->exit_code == 0) return {};
  std::string reason = checked->output;
  while (!reason.empty() && reason.back() == '\n') reason.pop_back();
  if (reason.empty()) reason = "loading it ended with " + checked->how;
  return reject(fmt::format("{}: {}", (folder / handler).string(), reason));
}

// Under its digest, unless it lies there; what lies there damaged is mended.
Result<void> store_package(const Checked& checked, RedisSync& redis) {
  const auto held = redis.call({"HGET", store::kPackagesKey, checked.digest});
  if (!held) return held.error();
  if ((*held)->type() == RedisReply::Type::kString && (*held)->text() == checked.package) return {};
  const auto stored = redis.call({"HSET", store::kPackagesKey, checked.digest, checked.package});
  if (!stored) return stored.error();
  if ((*stored)->is_error()) {
    return retry_later(
        fmt::format("Redis does not take the package of {}: {}", checked.name, (*stored)->text()));
  }
  return {};
}

}  // namespace

Result<Checked> check_function(const std::string& given_folder) {
  std::error_code error;
  const fs::path folder = fs::weakly_canonical(given_folder, error);
  if (error || !fs::is_directory(folder, error)) {
    return reject(fmt::format("{} is not a folder", given_folder));
  }
  const fs::path file = folder / "function.toml";
  auto manifest_toml = read_manifest(file);
  if (!manifest_toml) return manifest_toml.error();
  const auto manifest =
      protocol::parse_manifest(*manifest_toml, file.string(), folder.filename().string());
  if (!manifest) return manifest.error();
  if (!fs::is_regular_file(folder / manifest->handler, error)) {
    return reject(fmt::format("{}: no such file; `handler` in {} names it{}",
                              (folder / manifest->handler).string(), file.string(),
                              build_first(folder)));
  }
  if (manifest->runtime == "native") {
    if (auto loads = try_loading(folder, manifest->handler); !loads) return loads.error();
  }
  auto package = protocol::pack_directory(folder.string());
  if (!package) return package.error();
  std::string digest = sha256_hex(*package);
  return Checked{.name = manifest->name,
                 .manifest_toml = *std::move(manifest_toml),
                 .package = *std::move(package),
                 .digest = std::move(digest),
                 .manifest_file = file.string(),
                 .runtime = manifest->runtime,
                 .patterns = manifest->patterns};
}

std::vector<std::string> remarks(const Checked& checked) {
  std::vector<std::string> lines;
  if (checked.runtime != "native") {
    lines.push_back(
        fmt::format("{} has the runtime \"{}\", which fanfare-worker does not run: its events wait "
                    "for a worker of yours, see docs/protocol.md",
                    checked.name, checked.runtime));
  }
  if (checked.patterns.empty()) {
    lines.push_back(
        fmt::format("no event reaches {}, whose manifest has no [[on]]: call it with `fanfare "
                    "invoke {}`, or subscribe it to a topic",
                    checked.name, checked.name));
  }
  const std::vector<std::string> known{"type", "source",          "subject",   "id",
                                       "time", "datacontenttype", "dataschema"};
  for (const auto& text : checked.patterns) {
    const auto pattern = protocol::compile_pattern(text);
    if (!pattern) continue;  // the broker says what is wrong with it
    std::set<std::string> fields;
    for (const auto& branch : pattern->branches) {
      for (const auto& test : branch.attributes) {
        if (test.path.size() == 1) fields.insert(test.path.front());
      }
    }
    for (const std::string& field : fields) {
      if (std::find(known.begin(), known.end(), field) != known.end()) continue;
      const std::string meant = nearest(field, known);
      lines.push_back(fmt::format(
          "{}: pattern {} wants events with an extension '{}', as no attribute is called that{}",
          checked.manifest_file, text, field,
          meant.empty() ? "" : fmt::format("; did you mean {}?", meant)));
    }
  }
  return lines;
}

Result<Deployed> deploy_function(const Checked& checked, RedisSync& redis,
                                 client::BlockingClient& broker, const FollowOptions& options) {
  // The package first: from the broker's word on, workers fetch it.
  if (auto stored = store_package(checked, redis); !stored) return stored.error();
  auto deployed = follow_deployment(
      broker, "deploy",
      {{"name", checked.name}, {"manifest", checked.manifest_toml}, {"digest", checked.digest}},
      options);
  if (!deployed && deployed.error().kind == ErrorKind::kReject) {  // as for its patterns
    return reject(fmt::format("{}: {}", checked.manifest_file, deployed.error().message));
  }
  if (deployed) deployed->digest = checked.digest;  // an older broker does not say it
  return deployed;
}

}  // namespace fanfare::cli
