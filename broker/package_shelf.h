// Packages of functions on their way to workers that have no way to Redis: each is read from Redis
// once and handed out in parts.
//
// A package lies here from the first question for it until nobody has asked for kKept, or another
// one needs the room. Bounded: bytes_max, of which one that is being read counts as the largest
// there may be; who finds no room is told to ask later. What Redis answers without a package, or
// with one that is damaged, is not kept: the next question asks again, and finds what a deployment
// has mended. (Verifying takes the loop a millisecond or two for each MiB, once.)
//
// Pure; on the loop's thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "broker/lease_table.h"

namespace fanfare::broker {

class PackageShelf {
 public:
  static constexpr Duration kKept = std::chrono::seconds{10};
  static constexpr std::size_t kWaitingMax = 1024;  // questions that wait for Redis

  explicit PackageShelf(std::uint64_t bytes_max = 160u << 20) : bytes_max_(bytes_max) {}

  struct Question {
    SessionId session;
    std::uint64_t request = 0;
    std::uint64_t offset = 0;
  };
  struct Part {
    std::uint64_t size = 0;  // of the whole
    std::string bytes;
  };
  struct Answer {
    Question question;
    Result<Part> part;  // kRetryLater: ask again; kReject: that is no part of it, or there is none
  };

  // Its answers are among those of take_answers(), now or once on_read() was called.
  void ask(const std::string& digest, Question question, TimePoint now);
  std::vector<Answer> take_answers() { return std::exchange(answers_, {}); }
  // Digests to be read from Redis; on_read() is owed for each.
  std::vector<std::string> take_wanted() { return std::exchange(wanted_, {}); }
  void on_read(const std::string& digest, Result<std::string> bytes, TimePoint now);

  void tick(TimePoint now);  // forgets what nobody asks for
  std::uint64_t bytes() const;

 private:
  struct Package {
    bool read = false;
    std::string bytes;
    std::vector<Question> waiting;  // until it is read
    TimePoint asked_at;
  };
  void answer(const Package& package, const Question& question);
  bool make_room(TimePoint now);

  const std::uint64_t bytes_max_;
  std::map<std::string, Package> packages_;
  std::size_t waiting_ = 0;
  std::vector<std::string> wanted_;
  std::vector<Answer> answers_;
};

}  // namespace fanfare::broker
