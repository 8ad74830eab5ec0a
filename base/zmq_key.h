// CURVE keys: a public key says who a peer is, its secret key proves it.
//
// Both are Z85 texts of 40 characters (ZeroMQ's RFC 32), which no quote, backslash, comma or space
// is part of. They are types of their own, so that one cannot land in the other's place. A secret
// key cannot be copied, printed or compared; its bytes are overwritten when it goes. (libzmq keeps
// a copy of its own in each socket that has it.)
//
// Any thread; no state.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare {

inline constexpr std::size_t kKeyChars = 40;

class PublicKey {
 public:
  // kReject, saying what is wrong with it.
  static Result<PublicKey> parse(std::string_view text);
  // The 32 bytes that libzmq hands to a ZAP handler.
  static Result<PublicKey> from_bytes(std::string_view bytes);

  const std::string& text() const { return text_; }
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;
  friend bool operator==(const PublicKey&, const PublicKey&) = default;

 private:
  explicit PublicKey(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

class SecretKey {
 public:
  static Result<SecretKey> parse(std::string_view text);
  // From a file with the key on a line of its own; lines that begin with "# " are left out. kReject
  // if group or others may do anything with the file, or it is another user's (root's is fine): the
  // message says which chmod helps.
  static Result<SecretKey> read(const std::string& file);

  SecretKey(SecretKey&& other) noexcept;
  SecretKey& operator=(SecretKey&& other) noexcept;
  SecretKey(const SecretKey&) = delete;
  SecretKey& operator=(const SecretKey&) = delete;
  ~SecretKey();

  PublicKey public_key() const;
  // For libzmq and for writing it to its file; ends with NUL. Nowhere else.
  const char* z85() const { return text_.data(); }

 private:
  SecretKey() = default;
  std::array<char, kKeyChars + 1> text_{};
};

struct KeyPair {
  PublicKey open;
  SecretKey secret;

  // A new one, of the kernel's randomness. kFatal where libzmq was built without CURVE.
  static Result<KeyPair> make();
  // The pair that the secret key in a file is of.
  static Result<KeyPair> read(const std::string& secret_key_file);
};

// What a setting says for a public key: the key itself, or a file that has it on a line of its own.
Result<PublicKey> public_key_from(const std::string& key_or_file);

// Makes `file` with the key in it, mode 0600. It is there whole or not at all, whenever this is
// interrupted. kReject if there is one already: a key that is overwritten is lost.
Result<void> write_secret_key(const std::string& file, const SecretKey& key);

}  // namespace fanfare

template <>
struct std::hash<fanfare::PublicKey> {
  std::size_t operator()(const fanfare::PublicKey& key) const {
    return std::hash<std::string>{}(key.text());
  }
};
