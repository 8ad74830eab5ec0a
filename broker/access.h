// Which messages a peer of another machine may send: by its roles, and by whose worker it says to
// be.
//
// Peers of this machine are not asked: who reaches the broker's own socket owns the installation.
// Pure; lives on the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "broker/allow_list.h"
#include "protocol/messages.h"

namespace fanfare::broker {

// The roles of which each is enough for a message of this kind; empty: nobody sends such a one to a
// broker.
Roles roles_for(std::uint8_t kind);

// A worker's name is its key's as long as it is here: another key's Hello under it would take over
// what it holds.
class WorkerNames {
 public:
  // Whether a worker of that name is here now, and from where.
  enum class Here : std::uint8_t { kNobody, kLocal, kRemote };
  using Look = std::function<Here(const std::string& name)>;

  explicit WorkerNames(Look look) : look_(std::move(look)) {}

  // Notes it if it may have the name.
  bool take(const std::string& name, std::string_view key);

 private:
  static constexpr std::size_t kNotedMax = 4096;  // then those that are not here are forgotten

  Look look_;
  std::map<std::string, std::string> keys_;  // by name
};

}  // namespace fanfare::broker
