// The number, name and field count of each kind of message, as they stand on the wire.
#pragma once

#include <cstdint>

#include "protocol/messages.h"

namespace fanfare::protocol {

struct KindInfo {
  std::uint8_t number;
  const char* name;
  std::uint32_t fields;     // behind version and kind
  std::uint32_t later = 0;  // the last of them that a peer of an older build may leave out
};

// kKind<Publish>.number == 1
template <typename M>
inline constexpr KindInfo kKind{};

template <>
inline constexpr KindInfo kKind<Publish>{1, "Publish", 4};
template <>
inline constexpr KindInfo kKind<Published>{2, "Published", 4};
template <>
inline constexpr KindInfo kKind<Invoke>{3, "Invoke", 4};
template <>
inline constexpr KindInfo kKind<Invoked>{4, "Invoked", 2};
template <>
inline constexpr KindInfo kKind<Await>{5, "Await", 4};
template <>
inline constexpr KindInfo kKind<Awaited>{6, "Awaited", 3};
template <>
inline constexpr KindInfo kKind<Admin>{7, "Admin", 3};
template <>
inline constexpr KindInfo kKind<AdminReply>{8, "AdminReply", 2};
template <>
inline constexpr KindInfo kKind<Refused>{9, "Refused", 3};
template <>
inline constexpr KindInfo kKind<Hello>{20, "Hello", 12, 6};
template <>
inline constexpr KindInfo kKind<Welcome>{21, "Welcome", 8, 3};
template <>
inline constexpr KindInfo kKind<Functions>{22, "Functions", 1};
template <>
inline constexpr KindInfo kKind<Credit>{23, "Credit", 1};
template <>
inline constexpr KindInfo kKind<Deliver>{24, "Deliver", 3, 1};
template <>
inline constexpr KindInfo kKind<Done>{25, "Done", 4, 1};
template <>
inline constexpr KindInfo kKind<Heartbeat>{26, "Heartbeat", 8, 5};
template <>
inline constexpr KindInfo kKind<HeartbeatAck>{27, "HeartbeatAck", 2};
template <>
inline constexpr KindInfo kKind<Bye>{28, "Bye", 1};
template <>
inline constexpr KindInfo kKind<Reset>{29, "Reset", 0};
template <>
inline constexpr KindInfo kKind<Cancel>{30, "Cancel", 1};
template <>
inline constexpr KindInfo kKind<Quiet>{31, "Quiet", 1};
template <>
inline constexpr KindInfo kKind<Commit>{32, "Commit", 4};
template <>
inline constexpr KindInfo kKind<Committed>{33, "Committed", 2};
template <>
inline constexpr KindInfo kKind<ReadRows>{34, "ReadRows", 7};
template <>
inline constexpr KindInfo kKind<RowsRead>{35, "RowsRead", 3};
template <>
inline constexpr KindInfo kKind<TellUsage>{36, "TellUsage", 6};
template <>
inline constexpr KindInfo kKind<UsageTold>{37, "UsageTold", 2};
template <>
inline constexpr KindInfo kKind<FetchPackage>{38, "FetchPackage", 3};
template <>
inline constexpr KindInfo kKind<PackagePart>{39, "PackagePart", 3};
template <>
inline constexpr KindInfo kKind<Prepare>{40, "Prepare", 3};
template <>
inline constexpr KindInfo kKind<Prepared>{41, "Prepared", 6};
template <>
inline constexpr KindInfo kKind<Journaled>{42, "Journaled", 2};
template <>
inline constexpr KindInfo kKind<Local>{43, "Local", 2};

}  // namespace fanfare::protocol
