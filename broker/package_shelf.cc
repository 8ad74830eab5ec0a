#include "broker/package_shelf.h"

#include <algorithm>

#include "base/sha256.h"
#include "protocol/package.h"
#include "protocol/relay_messages.h"

namespace fanfare::broker {
namespace {

// One that was asked for a moment ago is being fetched: it does not go for another one.
constexpr Duration kInUse = std::chrono::seconds{2};

}  // namespace

std::uint64_t PackageShelf::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [digest, package] : packages_) {
    sum += package.read ? package.bytes.size() : protocol::kPackedPackageMax;
  }
  return sum;
}

bool PackageShelf::make_room(TimePoint now) {
  while (bytes() + protocol::kPackedPackageMax > bytes_max_) {
    auto oldest = packages_.end();
    for (auto at = packages_.begin(); at != packages_.end(); ++at) {
      if (!at->second.read || now - at->second.asked_at < kInUse) continue;
      if (oldest == packages_.end() || at->second.asked_at < oldest->second.asked_at) oldest = at;
    }
    if (oldest == packages_.end()) return false;
    packages_.erase(oldest);
  }
  return true;
}

void PackageShelf::ask(const std::string& digest, Question question, TimePoint now) {
  auto at = packages_.find(digest);
  if (at == packages_.end()) {
    if (!make_room(now)) {
      answers_.push_back({question, retry_later("other packages are on their way")});
      return;
    }
    at = packages_.emplace(digest, Package{}).first;
    wanted_.push_back(digest);
  }
  Package& package = at->second;
  package.asked_at = now;
  if (package.read) return answer(package, question);
  if (waiting_ >= kWaitingMax) {
    answers_.push_back({question, retry_later("too many workers wait for packages")});
    return;
  }
  ++waiting_;
  package.waiting.push_back(question);
}

void PackageShelf::answer(const Package& package, const Question& question) {
  if (question.offset > package.bytes.size()) {
    answers_.push_back({question, reject("the package ends before that")});
    return;
  }
  answers_.push_back(
      {question, Part{package.bytes.size(),
                      package.bytes.substr(question.offset, protocol::kPackagePartMax)}});
}

void PackageShelf::on_read(const std::string& digest, Result<std::string> bytes, TimePoint now) {
  const auto at = packages_.find(digest);
  if (at == packages_.end() || at->second.read) return;
  Package& package = at->second;
  const std::vector<Question> waiting = std::exchange(package.waiting, {});
  waiting_ -= waiting.size();
  if (bytes && bytes->size() > protocol::kPackedPackageMax)
    bytes = reject("the package is larger than any");
  if (bytes && sha256_hex(*bytes) != digest) {
    bytes = reject("the package in Redis is damaged: deploy the function again");
  }
  if (!bytes) {
    for (const Question& question : waiting) answers_.push_back({question, bytes.error()});
    packages_.erase(at);
    return;
  }
  package.read = true;
  package.bytes = *std::move(bytes);
  package.asked_at = now;
  for (const Question& question : waiting) answer(package, question);
}

void PackageShelf::tick(TimePoint now) {
  std::erase_if(packages_, [&](const auto& entry) {
    return entry.second.read && now - entry.second.asked_at >= kKept;
  });
}

}  // namespace fanfare::broker
