// Who may connect to the broker from other machines, and as what.
//
// A file with one line for each key, which `ops/keys` writes:
//
//   # key                                    roles              name
//   Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID worker             web-3
//   rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 publisher,operator laptop-of-ada
//
// From a word that begins with "#" on, a line is a comment; no key begins so. A list is taken whole
// or not at all. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "base/zmq_key.h"

namespace fanfare::broker {

enum class Role : std::uint8_t {
  kWorker = 1,     // joins, is lent deliveries, reports them
  kPublisher = 2,  // publishes, invokes, waits for results
  kOperator = 4,   // deploys, looks into everything, steers
};
std::string_view to_string(Role role);

class Roles {
 public:
  Roles() = default;
  void add(Role role) { bits_ |= static_cast<std::uint8_t>(role); }
  bool has(Role role) const { return (bits_ & static_cast<std::uint8_t>(role)) != 0; }
  bool any_of(Roles others) const { return (bits_ & others.bits_) != 0; }
  bool empty() const { return bits_ == 0; }
  friend bool operator==(const Roles&, const Roles&) = default;

 private:
  std::uint8_t bits_ = 0;
};
std::string to_string(Roles roles);  // "publisher, operator"

struct AllowedPeer {
  std::string name;
  Roles roles;
};

class AllowList {
 public:
  static constexpr std::size_t kBytesMax = 1 << 20;

  AllowList() = default;
  // kReject with file and line: of a key that is none or comes twice, a role that nobody knows, a
  // name that is none or comes twice. Of read() also kRetryLater: the file could not be read now.
  static Result<AllowList> parse(std::string_view text, const std::string& file);
  static Result<AllowList> read(const std::string& file);

  // Nothing if it is not allowed. Valid as long as the list.
  const AllowedPeer* find(std::string_view key) const;
  std::size_t size() const { return peers_.size(); }
  std::vector<std::string> keys() const;

 private:
  std::unordered_map<std::string, AllowedPeer> peers_;
};

}  // namespace fanfare::broker
