// Calls, answered by a real Redis.
//
// Owns one connection, the function library on the server, and the repeating of calls whose outcome
// is unknown: when the connection is lost before an answer, the call is kept and goes out again,
// meaning the same, before anything newer, on the next connection. Order is kept per store: calls
// are applied in the order in which they were made, and a call made while the server is away waits.
// But two are overtaken by what was made after them: a page that is asked for twice (fetching.h),
// which changes nothing, and a commit whose results could not be staged, which is decided by the
// states of its own deliveries. What Redis' errors mean is decided by error_table.h.
//
// Errors are those of store.h; kReconnect: Redis would not take the repeat of a call whose answer
// was lost.
//
// Appends form a chain: each names the one before it, so that one that Redis refused, among others
// that it took, is never mistaken for one it has had. An append whose entry is not above all
// earlier ones is rejected: after a kRetryLater a chunk may need a fresh entry.
//
// Lives on the loop's thread. Must not be destroyed from its own callbacks; destroying it drops
// outstanding calls without calling anybody.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/redis_link.h"
#include "base/result.h"
#include "store/arguments.h"
#include "store/calls.h"
#include "store/store.h"

namespace fanfare::store {

class RedisStore final : public Store {
 public:
  struct Hooks {
    std::function<void()> on_ready;             // connected, the library is there
    std::function<void(const Error&)> on_down;  // no longer, or not yet: kReconnect, or kFatal
    // Another process answers than before, before it gets any call: with `everysec` it may have
    // come back with less. After on_ready.
    std::function<void()> on_restarted;
  };
  struct Limits {
    std::size_t calls_max = 4096;  // outstanding
    std::size_t bytes_max = 64u << 20;
    Duration pause = std::chrono::milliseconds{50};  // before what Redis refused for now goes again
  };

  RedisStore(Loop& loop, RedisOptions options, Hooks hooks, Limits limits);
  RedisStore(Loop& loop, RedisOptions options, Hooks hooks = {})
      : RedisStore(loop, std::move(options), std::move(hooks), Limits()) {}
  ~RedisStore() override;
  RedisStore(const RedisStore&) = delete;
  RedisStore& operator=(const RedisStore&) = delete;

  void call(Call call, Done done) override;

  bool ready() const { return state_ == State::kReady; }
  std::size_t outstanding() const { return outstanding_; }
  std::size_t outstanding_bytes() const { return bytes_; }

 private:
  struct Pending;
  using Queue = std::deque<std::unique_ptr<Pending>>;
  enum class State { kDown, kChecking, kReady };

  void on_link_up();
  void on_link_down(std::string_view reason);
  void check_library();
  void on_digest(const RedisReply& reply);
  void load_library();
  void ask_who_answers();
  void on_setup_error(std::string_view error_text);
  void become_ready();

  void send_waiting();
  void send(std::unique_ptr<Pending> pending);
  static bool note_what_to_fetch(Pending& pending, const RedisReply& reply);
  void on_reply(const RedisReply& reply);
  void on_error(std::unique_ptr<Pending> pending, std::string_view error_text);
  void repeat(std::unique_ptr<Pending> pending);
  void resume_if_drained();
  void finish(std::unique_ptr<Pending> pending, Result<Answer> answer);
  void learn(const Pending& pending, const Result<Answer>& answer);
  std::optional<EntryId> newest_append() const;

  Loop& loop_;
  std::string run_id_;  // of the process that answered last
  const Hooks hooks_;
  const Limits limits_;
  State state_ = State::kDown;
  bool must_reload_ = false;     // the library went missing under us
  bool must_reconnect_ = false;  // after the pause
  bool told_down_ = false;

  // In order of the calls: sent_ before again_ before waiting_. again_ holds what must be repeated
  // while the rest of sent_ is still awaited; no new call is sent meanwhile.
  Queue sent_, again_, waiting_;
  std::size_t outstanding_ = 0, bytes_ = 0;

  std::optional<EntryId> applied_;  // the last append, or Begin's word, that Redis has confirmed
  std::optional<EntryId> chain_;    // what the next append names as the one before it

  TimePoint inline_until_{};  // results go with their commits: what goes before those was refused
  Arguments arguments_;       // used anew for each command
  Timer pause_;
  std::shared_ptr<char> alive_;  // what is posted holds it weakly
  std::unique_ptr<RedisLink> link_;
};

}  // namespace fanfare::store
