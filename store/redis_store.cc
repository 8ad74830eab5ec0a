#include "store/redis_store.h"

#include <algorithm>
#include <utility>

#include "store/decode.h"
#include "store/encode.h"
#include "store/error_table.h"
#include "store/fetching.h"
#include "store/library.h"
#include "store/staging.h"

namespace fanfare::store {

struct RedisStore::Pending {
  Call call;
  Done done;
  std::size_t bytes = 0;
  std::optional<EntryId> before;     // of an append: what it named when it was sent last
  std::optional<Fetching> fetching;  // of a page: what its first answer named
  std::string error_before;          // of the commands that went before it, when it was sent last
  bool in_doubt = false;             // an answer to it was lost: it may have been applied
};

namespace {

constexpr Duration kInlineFor = std::chrono::seconds{1};  // until a full Redis is tried again

const Append* append_of(const Call& call) {
  return std::get_if<Append>(&call);
}

}  // namespace

RedisStore::RedisStore(Loop& loop, RedisOptions options, Hooks hooks, Limits limits)
    : loop_(loop),
      hooks_(std::move(hooks)),
      limits_(limits),
      pause_(loop,
             [this] {
               if (std::exchange(must_reconnect_, false)) return link_->reset();
               if (state_ == State::kChecking) return check_library();
               resume_if_drained();
             }),
      alive_(std::make_shared<char>()) {
  link_ = std::make_unique<RedisLink>(
      loop_, std::move(options),
      RedisLink::Handlers{[this] { on_link_up(); },
                          [this](std::string_view reason) { on_link_down(reason); }});
}

RedisStore::~RedisStore() = default;

void RedisStore::call(Call call, Done done) {
  auto pending = std::make_unique<Pending>(std::move(call), std::move(done));
  pending->bytes = size_of(pending->call);
  Result<void> accepted = check(pending->call);
  if (accepted && outstanding_ > 0 &&
      (outstanding_ >= limits_.calls_max || bytes_ + pending->bytes > limits_.bytes_max)) {
    accepted = retry_later("too many calls to Redis are outstanding");
  }
  if (const Append* append = append_of(pending->call); accepted && append) {
    const auto newest = newest_append();
    if (newest && append->entry <= *newest) {
      accepted = reject("entry " + to_string(append->entry) + " is used up: " + to_string(*newest) +
                        " came before it");
    }
  }
  ++outstanding_;
  bytes_ += pending->bytes;
  if (!accepted) {
    loop_.post([this, alive = std::weak_ptr(alive_), error = accepted.error(),
                held = std::make_shared<std::unique_ptr<Pending>>(std::move(pending))] {
      if (!alive.expired()) finish(std::move(*held), error);
    });
    return;
  }
  waiting_.push_back(std::move(pending));
  send_waiting();
}

// ---- the connection and the library ----

void RedisStore::on_link_up() {
  state_ = State::kChecking;
  check_library();
}

void RedisStore::on_link_down(std::string_view reason) {
  const bool was_up = state_ != State::kDown;
  state_ = State::kDown;
  must_reconnect_ = false;
  pause_.stop();
  // Everything sent has been reported lost by now: it goes first on the next connection.
  for (; !again_.empty(); again_.pop_back()) waiting_.push_front(std::move(again_.back()));
  if ((was_up || !told_down_) && hooks_.on_down) hooks_.on_down(reconnect(std::string{reason}));
  told_down_ = true;
}

void RedisStore::check_library() {
  link_->call({"FCALL_RO", "fanfare2_digest", "0"}, [this](const RedisReply& r) { on_digest(r); });
}

void RedisStore::on_digest(const RedisReply& reply) {
  if (reply.lost()) return;
  if (reply.is_error()) {
    if (rule_for(reply.text()).action == OnError::kLoadLibrary) return load_library();
    return on_setup_error(reply.text());
  }
  if (reply.text() != library_digest()) return load_library();
  ask_who_answers();
}

void RedisStore::load_library() {
  link_->call({"FUNCTION", "LOAD", "REPLACE", library_text()}, [this](const RedisReply& reply) {
    if (reply.lost()) return;
    if (reply.is_error()) return on_setup_error(reply.text());
    ask_who_answers();
  });
}

void RedisStore::ask_who_answers() {
  link_->call({"INFO", "server"}, [this](const RedisReply& reply) {
    if (reply.lost()) return;
    if (reply.is_error()) return on_setup_error(reply.text());
    constexpr std::string_view kField = "run_id:";
    const std::string_view info = reply.text();
    const std::size_t at = info.find(kField);
    const std::string_view rest =
        at == std::string_view::npos ? std::string_view{} : info.substr(at + kField.size());
    const std::string before = std::exchange(run_id_, rest.substr(0, rest.find('\r')));
    become_ready();
    if (!before.empty() && before != run_id_ && hooks_.on_restarted) hooks_.on_restarted();
    resume_if_drained();
  });
}

void RedisStore::on_setup_error(std::string_view error_text) {
  const ErrorRule& rule = rule_for(error_text);
  Error error = to_error(error_text);
  if (rule.action != OnError::kTell) error.kind = ErrorKind::kReconnect;
  if (!told_down_ && hooks_.on_down) hooks_.on_down(error);
  told_down_ = true;
  must_reconnect_ = rule.action == OnError::kReconnect;
  pause_.start_after(limits_.pause);
}

void RedisStore::become_ready() {
  state_ = State::kReady;
  told_down_ = false;
  chain_ = applied_;
  if (hooks_.on_ready) hooks_.on_ready();
}

// ---- calls ----

void RedisStore::send_waiting() {
  while (state_ == State::kReady && again_.empty() && !waiting_.empty()) {
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    next->fetching.reset();  // a page is asked for from its beginning
    send(std::move(next));
  }
}

void RedisStore::send(std::unique_ptr<Pending> pending) {
  if (Commit* commit = std::get_if<Commit>(&pending->call)) {
    commit->beside = commit->packed && loop_.now().steady >= inline_until_;
  }
  if (const Append* append = append_of(pending->call)) {
    pending->before = std::exchange(chain_, append->entry);
  }
  pending->error_before.clear();  // the call is answered after what goes before it
  stage(pending->call, arguments_, [this, of = pending.get()] {
    link_->call(arguments_.all(), [of](const RedisReply& reply) {
      if (reply.is_error()) of->error_before = reply.text();
    });
  });
  if (Page* page = std::get_if<Page>(&pending->call)) {
    page->apart = pending->fetching ? pending->fetching->last() : Fetching::kAll;
  }
  if (pending->fetching) {
    pending->fetching->encode(arguments_);
    link_->call(arguments_.all(), [of = pending.get()](const RedisReply& reply) {
      if (reply.is_error()) of->error_before = reply.text();
      if (!reply.lost() && !reply.is_error()) of->fetching->take(reply);
    });
  }
  arguments_.clear();
  encode(pending->call, pending->before, arguments_);
  sent_.push_back(std::move(pending));
  link_->call(arguments_.all(), [this](const RedisReply& reply) { on_reply(reply); });
}

// False: there is nothing to fetch, or it has been.
bool RedisStore::note_what_to_fetch(Pending& pending, const RedisReply& reply) {
  const Page* page = std::get_if<Page>(&pending.call);
  if (page == nullptr || pending.fetching) return false;
  return pending.fetching.emplace().note(*page, reply);
}

// Answers come in the order in which calls were sent, some of them twice.
void RedisStore::on_reply(const RedisReply& reply) {
  auto pending = std::move(sent_.front());
  sent_.pop_front();
  if (reply.lost()) {
    pending->in_doubt = true;
    again_.push_back(std::move(pending));
    return;
  }
  if (reply.is_error()) {
    std::string why{reply.text()};
    if (why.starts_with("UNSTAGED")) {
      if (std::holds_alternative<Commit>(pending->call)) {  // a full Redis takes it whole
        if (unstage(pending->call, arguments_)) link_->call(arguments_.all(), {});
        inline_until_ = loop_.now().steady + kInlineFor;
        return send(std::move(pending));
      }
      pending->in_doubt = false;  // it was not taken before, either
      if (!pending->error_before.empty()) why = pending->error_before;  // which says more
    }
    on_error(std::move(pending), why);
  } else if (note_what_to_fetch(*pending, reply)) {
    send(std::move(pending));
  } else if (pending->fetching && !pending->error_before.empty()) {
    const std::string why = pending->error_before;
    on_error(std::move(pending), why);
  } else {
    auto answer = decode(pending->call, reply, pending->fetching ? &*pending->fetching : nullptr);
    finish(std::move(pending), std::move(answer));
  }
  if (sent_.empty() && !again_.empty() && !pause_.running()) pause_.start_after(limits_.pause);
}

void RedisStore::on_error(std::unique_ptr<Pending> pending, std::string_view error_text) {
  switch (rule_for(error_text).action) {
    case OnError::kTell: {
      // A full Redis refuses before it looks: of a repeat that says nothing about the first try.
      Error error = to_error(error_text);
      if (pending->in_doubt && error.kind == ErrorKind::kRetryLater)
        error.kind = ErrorKind::kReconnect;
      if (unstage(pending->call, arguments_)) link_->call(arguments_.all(), {});
      finish(std::move(pending), std::move(error));
      break;
    }
    case OnError::kRepeat:
      // The append before this one had been confirmed, and yet it is missing: Redis has come back
      // with less than it had (possible with `everysec`). Nothing else is in doubt: start anew.
      if (error_text.starts_with("GAP") && pending->before == applied_) applied_.reset();
      again_.push_back(std::move(pending));
      break;
    case OnError::kReconnect:
      must_reconnect_ = true;
      again_.push_back(std::move(pending));
      break;
    case OnError::kLoadLibrary:
      must_reload_ = true;
      again_.push_back(std::move(pending));
      break;
  }
}

// What must be repeated goes before all that waits, once nothing sent is left without an answer.
void RedisStore::resume_if_drained() {
  if (state_ != State::kReady || !sent_.empty()) return;
  for (; !again_.empty(); again_.pop_back()) waiting_.push_front(std::move(again_.back()));
  chain_ = applied_;
  if (std::exchange(must_reload_, false)) {
    state_ = State::kChecking;
    return check_library();
  }
  send_waiting();
}

void RedisStore::finish(std::unique_ptr<Pending> pending, Result<Answer> answer) {
  --outstanding_;
  bytes_ -= pending->bytes;
  learn(*pending, answer);
  if (pending->done) pending->done(std::move(answer));
}

void RedisStore::learn(const Pending& pending, const Result<Answer>& answer) {
  if (!answer) return;
  if (const auto* begun = std::get_if<Begun>(&*answer)) {
    applied_ = begun->last_entry;
    if (sent_.empty()) chain_ = applied_;
  }
  if (const Append* append = append_of(pending.call)) {
    applied_ = std::max(applied_.value_or(EntryId{}), append->entry);
  }
}

std::optional<EntryId> RedisStore::newest_append() const {
  for (const Queue* queue : {&waiting_, &again_, &sent_}) {
    for (auto pending = queue->rbegin(); pending != queue->rend(); ++pending) {
      if (const Append* append = append_of((*pending)->call)) return append->entry;
    }
  }
  return applied_;
}

}  // namespace fanfare::store
