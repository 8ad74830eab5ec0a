// Success or a reason, for everything that can be expected to fail.
//
// An Error's kind names the caller's next move, not the place where it went wrong; its message is
// one line for a person and says, where it can, what to do next. Exceptions of libraries stop at
// the adapter that calls the library; none travel through this project's own code.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace fanfare {

enum class ErrorKind {
  kReject,      // this input will never do: tell whoever sent it
  kRetryLater,  // full, loading or busy: the same call may succeed later
  kReconnect,   // the connection is gone and the outcome unknown: repeat it on a fresh one
  kStale,       // somebody else has taken over: drop it, nothing is lost
  kFatal,       // cannot go on without a person: say it and stop
};

std::string_view to_string(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::kReject;
  std::string message;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return held_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  // Asking a failure for its value, or a success for its error, is a caller's bug and ends the
  // process.
  T& value() & noexcept { return std::get<0>(held_); }
  const T& value() const& noexcept { return std::get<0>(held_); }
  T&& value() && noexcept { return std::get<0>(std::move(held_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const noexcept { return std::get<1>(held_); }

 private:
  std::variant<T, Error> held_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const noexcept { return error_.value(); }

 private:
  std::optional<Error> error_;
};

inline Error reject(std::string message) {
  return {ErrorKind::kReject, std::move(message)};
}
inline Error retry_later(std::string message) {
  return {ErrorKind::kRetryLater, std::move(message)};
}
inline Error reconnect(std::string message) {
  return {ErrorKind::kReconnect, std::move(message)};
}
inline Error stale(std::string message) {
  return {ErrorKind::kStale, std::move(message)};
}
inline Error fatal(std::string message) {
  return {ErrorKind::kFatal, std::move(message)};
}

}  // namespace fanfare
