#include "broker/allow_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>

#include "protocol/ids.h"

namespace fanfare::broker {
namespace {

constexpr std::array kRoles{Role::kWorker, Role::kPublisher, Role::kOperator};

// The words of a line, up to one that begins a comment. No key does: in Z85 a group of five
// characters that begins with "#" would be over 32 bits.
std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t begin = line.find_first_not_of(kBlank);
    if (begin == line.npos) return words;
    line.remove_prefix(begin);
    const std::string_view word = line.substr(0, line.find_first_of(kBlank));
    if (word.starts_with('#')) return words;
    words.push_back(word);
    line.remove_prefix(word.size());
  }
}

Result<Roles> parse_roles(std::string_view text) {
  Roles roles;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    const auto known = std::ranges::find(kRoles, word, [](Role role) { return to_string(role); });
    if (known == kRoles.end()) {
      return reject(fmt::format("'{}' is no role; there are worker, publisher and operator", word));
    }
    roles.add(*known);
  }
  return roles;
}

}  // namespace

std::string_view to_string(Role role) {
  switch (role) {
    case Role::kWorker:
      return "worker";
    case Role::kPublisher:
      return "publisher";
    case Role::kOperator:
      return "operator";
  }
  return "unknown";
}

std::string to_string(Roles roles) {
  std::string text;
  for (const Role role : kRoles) {
    if (!roles.has(role)) continue;
    if (!text.empty()) text += ", ";
    text += to_string(role);
  }
  return text;
}

Result<AllowList> AllowList::parse(std::string_view text, const std::string& file) {
  AllowList list;
  std::set<std::string_view> names;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto failed = [&](std::string_view why) {
      return reject(fmt::format("{}:{}: {}", file, number, why));
    };
    const auto words = words_of(line);
    if (words.empty()) continue;
    if (words.size() != 3) {
      return failed("a line is KEY ROLES NAME; from a word that begins with # on it is left out");
    }
    const auto key = PublicKey::parse(words[0]);
    if (!key) return failed(key.error().message);
    const auto roles = parse_roles(words[1]);
    if (!roles) return failed(roles.error().message);
    if (!protocol::is_function_name(words[2])) {
      return failed(fmt::format("'{}' is no name: [a-zA-Z0-9-_]{{1,64}}", words[2]));
    }
    if (!names.insert(words[2]).second) {
      return failed(fmt::format("the name '{}' comes twice", words[2]));
    }
    if (!list.peers_.emplace(key->text(), AllowedPeer{std::string(words[2]), *roles}).second) {
      return failed("this key comes twice");
    }
  }
  return list;
}

Result<AllowList> AllowList::read(const std::string& file) {
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text(kBytesMax + 1, '\0');
  if (in) in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad()) {
    return retry_later(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kBytesMax) {
    return reject(fmt::format("cannot read {}: it is larger than {} bytes", file, kBytesMax));
  }
  return parse(text, file);
}

const AllowedPeer* AllowList::find(std::string_view key) const {
  const auto at = peers_.find(std::string(key));
  return at == peers_.end() ? nullptr : &at->second;
}

std::vector<std::string> AllowList::keys() const {
  std::vector<std::string> keys;
  keys.reserve(peers_.size());
  for (const auto& [key, peer] : peers_) keys.push_back(key);
  return keys;
}

}  // namespace fanfare::broker
