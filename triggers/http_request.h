// One request as it is read: bytes go in, and out come its head, the pieces of its body, its end,
// or why it is refused.
//
// Beast's parser, held to our bounds and rid of what could be read in two ways: two lengths, a
// length beside chunks, no or two hosts, values that go on in the next line. What its body takes of
// memory is counted in a BodyBudget that all requests of a server share. No I/O and no clock; one
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "triggers/http.h"

namespace fanfare::triggers::http_detail {

// Bytes of bodies in memory, of all requests together.
struct BodyBudget {
  const std::size_t max = 0;
  std::size_t used = 0;
};

// Why a request is not read any further; nothing that follows it on its connection can be found.
struct Refusal {
  enum class Why { kMalformed, kTooLarge, kNoMemory, kSink };
  Why why = Why::kMalformed;
  HttpResponse response;
};

class RequestReader {
 public:
  // The budget must outlive it.
  RequestReader(std::size_t head_bytes_max, BodyBudget& budget);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  enum class Step {
    kMore,     // the rest is not there yet
    kFull,     // the body's sink is: read on when it is ready
    kHead,     // once: the head can be asked, and a plan is wanted
    kDone,     // what was not taken is the next request
    kRefused,  // for good; see take_refusal()
  };
  struct Taken {
    Step step = Step::kMore;
    std::size_t bytes = 0;
  };
  // What it does not take of `bytes` has to come again, with more behind it.
  Taken read(std::string_view bytes);
  // After kHead: where the body goes. False if it is too long already, or there is no room for it.
  bool accept(BodyPlan plan);
  Refusal take_refusal();

  bool has_head() const;  // what is below may be asked
  bool is_bodiless() const;
  bool expects_continue() const;  // "Expect: 100-continue", of a client that may have it
  bool keep_alive() const;        // as its sender wants it
  unsigned minor_version() const;
  std::string_view method() const;
  std::string_view target()
      const;  // without the host that it may name: that is the field Host then
  // Those of the head alone, not those behind the last chunk.
  const std::vector<std::pair<std::string_view, std::string_view>>& fields() const;
  std::string_view header(std::string_view name) const;

  std::string_view body() const;  // as far as it has come
  BodySink* sink() const;
  // What its sink has in memory counts as of now: it passes bytes on at times of its own.
  void recount();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::triggers::http_detail
