// Everything that a Fanfare function sees. A complete one:
//
//   #include <fanfare/function.h>
//
//   FANFARE_FUNCTION(const fanfare::Event& event) {
//     if (event.data.empty()) throw std::invalid_argument("nothing to measure");
//     return fanfare::Output::object({{"bytes", event.data.size()}});
//   }
//
// It is built into a shared object (CMake: fanfare_add_function(name sources…)), loaded once into a
// warmed parent process, and runs in copies of that process, one event at a time in each. A copy
// ("instance") serves many events, so globals persist between them; it may also be killed at any
// time, and an event may be run again after a failure: handlers should be idempotent.
//
// Delivery is at least once, results are stored once. Throwing is failing: the failure's type is
// the exception's type, its message what(). Failures are retried unless marked otherwise.
#pragma once

#include <sys/random.h>

#include <cxxabi.h>
#include <charconv>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

// What crosses the border between a function and the process that loads it: C types only, so that
// both sides may come from different compilers. Use the classes below instead.
namespace fanfare::abi {

struct Text {
  const char* data;
  std::size_t size;
};

struct Attribute {
  Text name, value;
};

struct Event {
  Text id, ce_id, source, type, subject, time, content_type, data_schema, data;
  const Attribute* extensions;
  std::size_t extension_count;
};

// An event that the function publishes.
struct NewEvent {
  Text source, type, subject, content_type, data;  // no source: the function's own
  const Attribute* extensions;
  std::size_t extension_count;
  std::int64_t delay_ms;
};

// Takes what a store is asked for; the texts are good during the call.
struct Rows {
  void* to;
  void (*row)(void* to, Text key, Text value);
  void (*cursor)(void* to, Text cursor);  // of a list that goes on
};

struct Answer;

// Grows at its end only: a function that was built with a shorter one does not look there.
struct Context {
  Text function;
  std::uint32_t attempt;
  std::int64_t deadline_ns;  // CLOCK_MONOTONIC
  void* host;
  void (*log)(void* host, std::uint32_t level, Text text);
  void (*progress)(void* host, double fraction, Text note);
  // Empty, or why the event is not taken: a text that stands until the next call.
  Text (*publish)(void* host, const NewEvent* event);
  // The function's store. Empty, or what is wrong, as above.
  Text (*get_row)(void* host, Text key, const Rows* rows);
  Text (*list_rows)(void* host, Text prefix, Text cursor, std::uint32_t limit, const Rows* rows);
  Text (*put_row)(void* host, Text key, Text value, std::int64_t ttl_ms);  // 0: for ever
  Text (*erase_row)(void* host, Text key);
  Text (*increment_row)(void* host, Text key, std::int64_t by);
  // Runs another function and waits until that has ended. Makes one call on `answer`, with texts
  // that are good during it; what failed by itself, and not by its caller's or the system's doing,
  // has kByFunction. `timeout_ms` 0: the caller has not said.
  void (*invoke)(void* host, Text function, Text data, std::int64_t timeout_ms,
                 const Answer* answer);
};

// The flags of a failure.
inline constexpr std::uint32_t kRetryable = 1, kHasRetryAfter = 2, kOutOfMemory = 4,
                               kByFunction = 8;

// How the function answers: exactly one call, whose bytes are copied before it returns.
struct Answer {
  void* host;
  void (*output)(void* host, Text content_type, Text data);
  void (*failure)(void* host, Text type, Text message, std::uint32_t flags,
                  std::int64_t retry_after_ms);
};

// High half: counts incompatible changes. Low half: the size of all that is passed. A worker loads
// functions of its own stamp, and those of the same version that know of less.
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kStamp =
    kVersion << 16 | static_cast<std::uint32_t>(sizeof(Event) + sizeof(Context) + sizeof(Answer));
inline constexpr std::uint32_t kOldestStamp =  // of the time when Context ended with progress()
    kVersion << 16 | static_cast<std::uint32_t>(sizeof(Event) + 56 + sizeof(Answer));

using HandleFn = void(const Event*, const Context*, const Answer*);
using HookFn = void(const Answer* failed);  // calls failure(), or nothing if all went well

}  // namespace fanfare::abi

namespace fanfare {

// A CloudEvents 1.0 event. The views are valid while the handler runs.
struct Event {
  std::string_view id;     // Fanfare's own, unique for ever: the same in every attempt
  std::string_view ce_id;  // the publisher's, may be empty
  std::string_view source, type, subject, time, content_type, data_schema;
  std::string_view data;  // any bytes
  std::vector<std::pair<std::string_view, std::string_view>> extensions;

  // The value of a CloudEvents extension attribute, such as "traceparent".
  std::optional<std::string_view> extension(std::string_view name) const {
    for (const auto& [key, value] : extensions) {
      if (key == name) return value;
    }
    return std::nullopt;
  }
};

// Where a run belongs in a distributed trace: traceparent and tracestate as the W3C has them
// (https://www.w3.org/TR/trace-context/), which events carry as extensions of these names
// (CloudEvents' "Distributed Tracing"). Both empty: in none. They are passed on as they came,
// nobody looks into them.
struct TraceContext {
  std::string_view traceparent, tracestate;
};

// An event for others, see Context::publish.
struct NewEvent {
  std::string type;               // required
  std::string data = {};          // any bytes
  std::string content_type = {};  // none: JSON, if it is JSON
  std::string subject = {};
  std::string source = {};  // none: "/functions/NAME"
  std::vector<std::pair<std::string, std::string>> extensions = {};
  std::chrono::milliseconds delay{};  // before it is delivered
};

// Why Context::publish did not take an event.
class PublishError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What is wrong with a call on the function's store.
class StoreError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Why Context::invoke has no output. Not caught it fails the caller, as "fanfare::InvokeError".
class InvokeError : public std::runtime_error {
 public:
  InvokeError(std::string type, const std::string& message, bool by_function)
      : std::runtime_error(message), type_(std::move(type)), by_function_(by_function) {}

  // The function ran and failed. Else there is no result of it, and it may or may not have run.
  bool by_function() const { return by_function_; }
  // If it failed, the failure's type as it stands in a result: "ValidationError", "Timeout". Else
  // what `fanfare invoke` would say: "no_such_function", "timeout", "queue_full", "too_large",
  // "unavailable", "unreachable", "invalid"; or "recursion"; rarely "internal", or another word of
  // the broker's.
  const std::string& type() const { return type_; }

 private:
  std::string type_;
  bool by_function_;
};

struct Row {
  std::string key, value;
};
struct RowPage {
  std::vector<Row> rows;
  std::string cursor;  // for the next page; empty: this was the last
};

// What the function keeps of its own, in Redis: rows of a key and a value, the same for all its
// instances on all hosts, until they are erased or their ttl is over.
//
// Writes are kept in the instance and committed with the result, in one step: an attempt that
// fails, is killed or is not the one that counts leaves nothing behind, one that succeeds leaves
// all of its writes, once. Reads see the attempt's own writes, and otherwise what is committed at
// that moment; between two attempts that write the same row the last commit wins, so count with
// increment(), not with get() and put().
//
// Keys are 1 to 512 bytes of UTF-8 without control characters, values up to 256 KiB of any bytes.
// An attempt may write 256 rows and 1 MiB. While Redis is away reads wait, up to the attempt's
// deadline. Only on the thread that runs the handler. Everything throws StoreError.
class Store {
 public:
  explicit Store(const abi::Context& context) : context_(context) {}

  std::optional<std::string> get(std::string_view key) {
    std::optional<std::string> value;
    const abi::Rows rows{.to = &value,
                         .row =
                             [](void* to, abi::Text, abi::Text found) {
                               static_cast<std::optional<std::string>*>(to)->emplace(found.data,
                                                                                     found.size);
                             },
                         .cursor = [](void*, abi::Text) {}};
    check(call(context_.get_row)(context_.host, text(key), &rows));
    return value;
  }

  // Up to `limit` rows (1 to 1000, fewer if they are large) whose keys begin with `prefix`, in the
  // order of their bytes. For the next page pass the cursor of the last one.
  RowPage list(std::string_view prefix = {}, std::uint32_t limit = 100,
               std::string_view cursor = {}) {
    RowPage page;
    const abi::Rows rows{
        .to = &page,
        .row =
            [](void* to, abi::Text key, abi::Text value) {
              static_cast<RowPage*>(to)->rows.push_back(
                  {std::string(key.data, key.size), std::string(value.data, value.size)});
            },
        .cursor =
            [](void* to, abi::Text next) {
              static_cast<RowPage*>(to)->cursor.assign(next.data, next.size);
            }};
    check(call(context_.list_rows)(context_.host, text(prefix), text(cursor), limit, &rows));
    return page;
  }

  // Until it is erased, or for as long as `ttl` from now.
  void put(std::string_view key, std::string_view value) { put_for(key, value, 0); }
  void put(std::string_view key, std::string_view value, std::chrono::milliseconds ttl) {
    if (ttl.count() <= 0) throw StoreError("the ttl of a row must be at least 1 ms");
    put_for(key, value, ttl.count());
  }

  void erase(std::string_view key) { check(call(context_.erase_row)(context_.host, text(key))); }

  // Adds to the whole number that the row holds when this attempt is committed (none counts as 0),
  // within ±(2^53 - 1); its ttl stays. What comes out is known then and not before: get() shows
  // what it would be now. If the row holds no number the attempt fails, as `NotANumber`.
  void increment(std::string_view key, std::int64_t by = 1) {
    check(call(context_.increment_row)(context_.host, text(key), by));
  }

 private:
  static abi::Text text(std::string_view view) { return {view.data(), view.size()}; }
  template <typename Call>
  static Call* call(Call* given) {
    if (!given) throw StoreError("there is no store where this runs");
    return given;
  }
  static void check(abi::Text refusal) {
    if (refusal.size > 0) throw StoreError(std::string(refusal.data, refusal.size));
  }
  void put_for(std::string_view key, std::string_view value, std::int64_t ttl_ms) {
    check(call(context_.put_row)(context_.host, text(key), text(value), ttl_ms));
  }

  const abi::Context& context_;
};

enum class Level : std::uint32_t { kDebug, kInfo, kWarning, kError };

// What a handler knows about its own run. Valid while the handler runs; its members may be called
// from threads that the handler started, but for store() and invoke(), whose calls wait in the
// handler's own thread.
class Context {
 public:
  Context(const abi::Context& context, std::string_view event_id, TraceContext trace = {})
      : context_(context), event_id_(event_id), trace_(trace) {}

  std::string_view function() const { return {context_.function.data, context_.function.size}; }
  std::string_view event_id() const { return event_id_; }
  std::uint32_t attempt() const { return context_.attempt; }  // 1 is the first
  // That of the event: for spans of the handler's own, and the head of requests that it sends. What
  // it publishes and invokes has it, too. In a call for a batch each event has its own, in its
  // extensions, and this is empty.
  TraceContext trace() const { return trace_; }

  // At the deadline the instance gets SIGTERM, and a little later SIGKILL.
  std::chrono::steady_clock::time_point deadline() const {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(context_.deadline_ns));
  }
  std::chrono::nanoseconds remaining() const {
    return deadline() - std::chrono::steady_clock::now();
  }

  // One line of the attempt's log; whatever is printed to stdout and stderr lands there too.
  void log(Level level, std::string_view text) {
    context_.log(context_.host, static_cast<std::uint32_t>(level), {text.data(), text.size()});
  }

  // Tells observers how far this run is: 0 to 1, and a few words (at most 160 bytes are kept).
  void progress(double fraction, std::string_view note = {}) {
    context_.progress(context_.host, fraction, {note.data(), note.size()});
  }

  // Publishes an event if, and only if, this attempt succeeds and its result is the one that
  // counts: then once, to every function whose patterns match. Until then it is kept here. An
  // attempt may publish 64 events, of 256 KiB together. One without a traceparent gets trace().
  // Throws PublishError for one beyond that, and for what is no event.
  //
  //   context.publish({.type = "order.billed", .data = R"({"total": 12})", .subject = order});
  void publish(const NewEvent& event) {
    std::vector<abi::Attribute> extensions;
    bool traced = trace_.traceparent.empty();
    for (const auto& [name, value] : event.extensions) {
      extensions.push_back({{name.data(), name.size()}, {value.data(), value.size()}});
      traced = traced || name == "traceparent" || name == "tracestate";
    }
    const auto text = [](std::string_view s) { return abi::Text{s.data(), s.size()}; };
    if (!traced) {
      extensions.push_back({text("traceparent"), text(trace_.traceparent)});
      if (!trace_.tracestate.empty()) {
        extensions.push_back({text("tracestate"), text(trace_.tracestate)});
      }
    }
    const abi::NewEvent passed{.source = text(event.source),
                               .type = text(event.type),
                               .subject = text(event.subject),
                               .content_type = text(event.content_type),
                               .data = text(event.data),
                               .extensions = extensions.data(),
                               .extension_count = extensions.size(),
                               .delay_ms = event.delay.count()};
    const abi::Text refusal = context_.publish(context_.host, &passed);
    if (refusal.size > 0) throw PublishError(std::string(refusal.data, refusal.size));
  }

  // Runs another function once, now, and waits for what it returns: `fanfare invoke` from within a
  // handler. Throws InvokeError if that failed, or if there is no result in time.
  //
  //   const std::string price = context.invoke("price", R"({"article": 7})", 2s);
  //
  // The wait ends after `timeout`, queueing included (30 s unless said). At this attempt's
  // deadline, if that comes first, the attempt is ended as any other that is late: nothing is
  // thrown. Data are bounded by the broker's max_event_bytes, the output by the other function's
  // result.max_bytes. It gets an event of type "function.invoked", source "/functions/NAME" of this
  // function, and the id of this event as its subject.
  //
  // Nothing of it is durable. If this attempt fails afterwards and is tried again it invokes again;
  // if it is killed while it waits, the other function runs to its end and nobody hears of it. For
  // what must happen once use publish().
  //
  // While it waits its slot is lent to functions that are invoked like this, so that a worker with
  // one slot does not wait for itself; its place in max_concurrency it keeps. A function that waits
  // for itself beyond its own max_concurrency waits until its time is up. A chain of functions that
  // wait for each other has 16 links at most, events that led to it included; then "recursion".
  //
  // On the thread that runs the handler; one at a time. Also in calls for batches of events.
  std::string invoke(std::string_view function, std::string_view data = {}) const {
    return invoke_for(function, data, 0);
  }
  std::string invoke(std::string_view function, std::string_view data,
                     std::chrono::milliseconds timeout) const {
    if (timeout.count() <= 0) {
      throw InvokeError("invalid", "invalid: the timeout must be at least 1 ms", false);
    }
    return invoke_for(function, data, timeout.count());
  }

  // The function's own rows.
  //
  //   context.store().put("form/" + std::string(context.event_id()), json);
  Store store() const { return Store(context_); }

  // A value of the manifest's [env] table, or of the environment the worker passes on.
  static std::optional<std::string_view> env(const char* name) {
    const char* value = std::getenv(name);
    return value ? std::optional<std::string_view>(value) : std::nullopt;
  }

 private:
  std::string invoke_for(std::string_view function, std::string_view data,
                         std::int64_t timeout_ms) const;

  const abi::Context& context_;
  std::string_view event_id_;
  TraceContext trace_;
};

inline std::string Context::invoke_for(std::string_view function, std::string_view data,
                                       std::int64_t timeout_ms) const {
  if (!context_.invoke) {
    throw InvokeError("unavailable", "unavailable: nothing can be invoked where this runs", false);
  }
  struct Taken {
    std::string output, type, message;
    bool failed = false, by_function = false;
  } taken;
  const abi::Answer answer{
      .host = &taken,
      .output =
          [](void* host, abi::Text, abi::Text output) {
            static_cast<Taken*>(host)->output.assign(output.data, output.size);
          },
      .failure =
          [](void* host, abi::Text type, abi::Text message, std::uint32_t flags, std::int64_t) {
            auto& me = *static_cast<Taken*>(host);
            me.failed = true;
            me.by_function = (flags & abi::kByFunction) != 0;
            me.type.assign(type.data, type.size);
            me.message.assign(message.data, message.size);
          }};
  context_.invoke(context_.host, {function.data(), function.size()}, {data.data(), data.size()},
                  timeout_ms, &answer);
  if (!taken.failed) return std::move(taken.output);
  const std::string what =
      (taken.by_function ? std::string(function) + " failed: " : std::string{}) + taken.type +
      ": " + taken.message;
  throw InvokeError(std::move(taken.type), what, taken.by_function);
}

// Why an event could not be handled: thrown or returned.
//
//   throw fanfare::Failure{"RateLimited", "try later"}.retry_after(5s);
//   return fanfare::Failure{"ValidationError", "email is missing"}.retryable(false);
class Failure : public std::exception {
 public:
  Failure(std::string type, std::string message)
      : type_(std::move(type)), message_(std::move(message)) {}

  // No: the event goes to the dead letters at once. The default is yes.
  Failure& retryable(bool yes) {
    retryable_ = yes;
    return *this;
  }
  // The next attempt begins after this pause, instead of the retry policy's, if there is one.
  Failure& retry_after(std::chrono::milliseconds wait) {
    retry_after_ = wait;
    return *this;
  }

  const std::string& type() const { return type_; }
  const std::string& message() const { return message_; }
  bool retryable() const { return retryable_; }
  std::optional<std::chrono::milliseconds> retry_after() const { return retry_after_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string type_, message_;
  bool retryable_ = true;
  std::optional<std::chrono::milliseconds> retry_after_;
};

// A member of a flat JSON object: a name, and a string, number or bool. For more, bring a JSON
// library and use Output::json.
class JsonMember {
 public:
  JsonMember(std::string_view name, std::string_view value)
      : text_(quoted(name) + ':' + quoted(value)) {}
  JsonMember(std::string_view name, const char* value)
      : JsonMember(name, std::string_view(value)) {}
  JsonMember(std::string_view name, const std::string& value)
      : JsonMember(name, std::string_view(value)) {}
  template <typename T>
    requires std::integral<T> || std::floating_point<T>
  JsonMember(std::string_view name, T value) : text_(quoted(name) + ':' + number(value)) {}

  const std::string& text() const { return text_; }

 private:
  static std::string quoted(std::string_view text) {
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        out += {'\\', c};
      } else if (static_cast<unsigned char>(c) < 0x20) {
        out += {'\\', 'u', '0', '0', kHex[(c >> 4) & 15], kHex[c & 15]};
      } else {
        out += c;
      }
    }
    return out += '"';
  }
  template <typename T>
  static std::string number(T value) {
    if constexpr (std::same_as<T, bool>) {
      return value ? "true" : "false";
    } else {
      if constexpr (std::floating_point<T>) {
        if (value != value || value - value != T{})
          return "null";  // JSON knows no NaN, no infinity
      }
      char digits[64];
      const auto end = std::to_chars(digits, digits + sizeof digits, value);
      return {digits, end.ptr};
    }
  }
  std::string text_;
};

// What a handler returns: bytes and their content type, or a failure. Text converts by itself.
class Output {
 public:
  Output() = default;  // no bytes at all
  Output(std::string text) : data_(std::move(text)), content_type_("text/plain; charset=utf-8") {}
  Output(std::string_view text) : Output(std::string(text)) {}
  Output(const char* text) : Output(std::string(text)) {}
  Output(Failure failure) : failure_(std::move(failure)) {}

  // `text` must be JSON: it is passed on as it stands.
  static Output json(std::string text) { return bytes(std::move(text), "application/json"); }
  // Output::object({{"words", 3}, {"title", title}})
  static Output object(std::initializer_list<JsonMember> members) {
    std::string text = "{";
    for (const JsonMember& member : members) {
      if (text.size() > 1) text += ',';
      text += member.text();
    }
    return json(text += '}');
  }
  static Output bytes(std::string data, std::string content_type) {
    Output output;
    output.data_ = std::move(data);
    output.content_type_ = std::move(content_type);
    return output;
  }

  const std::string& data() const { return data_; }
  const std::string& content_type() const { return content_type_; }
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  std::string data_, content_type_;
  std::optional<Failure> failure_;
};

// Fresh randomness for generators of your own. Instances are copies of one process: a generator
// seeded by FANFARE_INIT would produce the same numbers in each. rand(), random() and drand48() are
// seeded anew for you; seed others in FANFARE_START.
inline std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  while (::getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) {
  }
  return seed;
}

namespace detail {

inline abi::Text text(std::string_view view) {
  return {view.data(), view.size()};
}
inline std::string_view view(abi::Text text) {
  return {text.data, text.size};
}

inline void answer_failure(const abi::Answer& answer, const Failure& failure) {
  std::uint32_t flags = failure.retryable() ? abi::kRetryable : 0;
  if (failure.retry_after()) flags |= abi::kHasRetryAfter;
  answer.failure(answer.host, text(failure.type()), text(failure.message()), flags,
                 failure.retry_after().value_or(std::chrono::milliseconds{}).count());
}

inline std::string current_exception_type() {
  const std::type_info* type = ::abi::__cxa_current_exception_type();
  if (!type) return "unknown exception";
  int status = 0;
  char* name = ::abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string result = status == 0 && name ? name : type->name();
  std::free(name);
  return result;
}

// Called inside a catch block: turns what is being handled into a failure.
inline void answer_current_exception(const abi::Answer& answer) noexcept {
  try {
    throw;
  } catch (const Failure& failure) {
    answer_failure(answer, failure);
  } catch (const std::bad_alloc&) {
    answer.failure(answer.host, text("std::bad_alloc"), text("the function ran out of memory"),
                   abi::kRetryable | abi::kOutOfMemory, 0);
  } catch (const std::exception& exception) {
    answer_failure(answer, Failure{current_exception_type(), exception.what()});
  } catch (...) {
    answer_failure(answer, Failure{current_exception_type(), "thrown, but not a std::exception"});
  }
}

inline Event event_of(const abi::Event& in) {
  Event event{
      view(in.id),   view(in.ce_id),        view(in.source),      view(in.type), view(in.subject),
      view(in.time), view(in.content_type), view(in.data_schema), view(in.data), {}};
  for (std::size_t i = 0; i < in.extension_count; ++i) {
    event.extensions.emplace_back(view(in.extensions[i].name), view(in.extensions[i].value));
  }
  return event;
}

template <typename Handler>
void handle(Handler* handler, const abi::Event& in, const abi::Context& about,
            const abi::Answer& answer) noexcept {
  try {
    const Event event = event_of(in);
    Context context(about, event.id,
                    {.traceparent = event.extension("traceparent").value_or(""),
                     .tracestate = event.extension("tracestate").value_or("")});
    const Output output = [&]() -> Output {
      if constexpr (std::is_invocable_v<Handler*, const Event&, Context&>) {
        return handler(event, context);
      } else {
        return handler(event);
      }
    }();
    if (output.failure()) {
      answer_failure(answer, *output.failure());
    } else {
      answer.output(answer.host, text(output.content_type()), text(output.data()));
    }
  } catch (...) {
    answer_current_exception(answer);
  }
}

inline void run_hook(void (*hook)(), const abi::Answer& failed) noexcept {
  try {
    hook();
  } catch (...) {
    answer_current_exception(failed);
  }
}

}  // namespace detail
}  // namespace fanfare

#define FANFARE_EXPORT extern "C" __attribute__((visibility("default")))

// The handler: FANFARE_FUNCTION(const fanfare::Event& event, fanfare::Context& context) { … }
// The context may be left out. The body returns something that converts to fanfare::Output.
#define FANFARE_FUNCTION(...)                                                         \
  static ::fanfare::Output fanfare_user_handler(__VA_ARGS__);                         \
  FANFARE_EXPORT const std::uint32_t fanfare_abi_version;                             \
  const std::uint32_t fanfare_abi_version = ::fanfare::abi::kStamp;                   \
  FANFARE_EXPORT void fanfare_function_handle(const ::fanfare::abi::Event* event,     \
                                              const ::fanfare::abi::Context* context, \
                                              const ::fanfare::abi::Answer* answer) { \
    ::fanfare::detail::handle(&fanfare_user_handler, *event, *context, *answer);      \
  }                                                                                   \
  static ::fanfare::Output fanfare_user_handler(__VA_ARGS__)

// Optional: FANFARE_INIT { … } runs once, before the first event, in the parent that all instances
// are copied from. Load models and tables here: their memory is shared. It must start no threads
// and should open no connections (copies would share them).
#define FANFARE_INIT                                                                \
  static void fanfare_user_init();                                                  \
  FANFARE_EXPORT void fanfare_function_init(const ::fanfare::abi::Answer* failed) { \
    ::fanfare::detail::run_hook(&fanfare_user_init, *failed);                       \
  }                                                                                 \
  static void fanfare_user_init()

// Optional: FANFARE_START { … } runs in each new instance before its first event: the place for
// connections, threads and random generators.
#define FANFARE_START                                                                \
  static void fanfare_user_start();                                                  \
  FANFARE_EXPORT void fanfare_function_start(const ::fanfare::abi::Answer* failed) { \
    ::fanfare::detail::run_hook(&fanfare_user_start, *failed);                       \
  }                                                                                  \
  static void fanfare_user_start()
