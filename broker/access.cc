#include "broker/access.h"

#include <array>
#include <initializer_list>
#include <variant>

#include "protocol/kinds.h"

namespace fanfare::broker {
namespace {

constexpr std::uint8_t kWorkers = static_cast<std::uint8_t>(Role::kWorker);
constexpr std::uint8_t kPublishers = static_cast<std::uint8_t>(Role::kPublisher);
constexpr std::uint8_t kOperators = static_cast<std::uint8_t>(Role::kOperator);
constexpr std::uint8_t kNobody = 0;

// Every kind of message has its line here: one that has none does not compile.
template <typename M>
constexpr std::uint8_t kSenders = 0xff;
template <>
constexpr std::uint8_t kSenders<protocol::Publish> = kPublishers;
template <>
constexpr std::uint8_t kSenders<protocol::Invoke> = kPublishers | kWorkers;  // also for functions
template <>
constexpr std::uint8_t kSenders<protocol::Await> = kPublishers | kOperators;
template <>
constexpr std::uint8_t kSenders<protocol::Admin> = kOperators;
template <>
constexpr std::uint8_t kSenders<protocol::Hello> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::Credit> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::Done> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::Heartbeat> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::Bye> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::Prepared> = kWorkers;
// Of workers that have no way to Redis of their own.
template <>
constexpr std::uint8_t kSenders<protocol::Commit> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::ReadRows> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::TellUsage> = kWorkers;
template <>
constexpr std::uint8_t kSenders<protocol::FetchPackage> = kWorkers;
// What only a broker sends.
template <>
constexpr std::uint8_t kSenders<protocol::Published> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Invoked> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Awaited> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::AdminReply> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Refused> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Welcome> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Functions> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Deliver> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::HeartbeatAck> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Reset> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Cancel> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Quiet> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Prepare> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Journaled> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Local> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::Committed> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::RowsRead> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::UsageTold> = kNobody;
template <>
constexpr std::uint8_t kSenders<protocol::PackagePart> = kNobody;

using Table = std::array<std::uint8_t, 256>;

template <typename... Kinds>
constexpr Table make_table(const std::variant<Kinds...>*) {
  static_assert(((kSenders<Kinds> != 0xff) && ...), "a kind of message has no line above");
  Table table{};
  ((table[protocol::kKind<Kinds>.number] = kSenders<Kinds>), ...);
  return table;
}

constexpr Table kTable = make_table(static_cast<const protocol::Message*>(nullptr));

}  // namespace

Roles roles_for(std::uint8_t kind) {
  Roles roles;
  for (const Role role : {Role::kWorker, Role::kPublisher, Role::kOperator}) {
    if ((kTable[kind] & static_cast<std::uint8_t>(role)) != 0) roles.add(role);
  }
  return roles;
}

bool WorkerNames::take(const std::string& name, std::string_view key) {
  const Here here = look_(name);
  if (here == Here::kLocal) return false;
  const auto at = keys_.find(name);
  if (here == Here::kRemote && at != keys_.end() && at->second != key) return false;
  if (keys_.size() >= kNotedMax) {
    std::erase_if(keys_, [this](const auto& noted) { return look_(noted.first) != Here::kRemote; });
  }
  keys_[name] = key;
  return true;
}

}  // namespace fanfare::broker
