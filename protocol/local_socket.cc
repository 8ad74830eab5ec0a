#include "protocol/local_socket.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/unix_message.h"
#include "protocol/ids.h"

namespace fanfare::protocol {
namespace {

constexpr std::string_view kIpcScheme = "ipc://";
static_assert(std::is_trivially_copyable_v<LocalHead> && sizeof(LocalHead) == 16);

}  // namespace

LocalPlace local_place(std::string_view endpoint) {
  if (!endpoint.starts_with(kIpcScheme)) return {};
  const std::string_view path = endpoint.substr(kIpcScheme.size());
  const std::size_t slash = path.rfind('/');
  if (slash == path.npos || slash + 1 == path.size()) return {};  // "@name" has no folder
  return {.folder = std::string{path.substr(0, slash)} + "/local",
          .prefix = std::string{path.substr(slash + 1)} + "."};
}

bool LocalPlace::has(std::string_view file) const {
  if (!any() || !file.starts_with(prefix)) return false;
  const std::string_view number = file.substr(prefix.size());
  return !number.empty() && number.find_first_not_of("0123456789") == number.npos;
}

Result<void> send_local(int socket, std::string_view frame) {
  LocalHead head{.size = static_cast<std::uint32_t>(frame.size())};
  Fd memfd;
  std::string packet(sizeof head, '\0');
  if (frame.size() > kLocalInlineMax) {
    auto made = make_sealed_memfd("fanfare-local", std::array{frame});
    if (!made) return made.error();
    memfd = std::move(*made);
    head.flags = LocalHead::kInMemfd;
  } else {
    packet += frame;
  }
  std::memcpy(packet.data(), &head, sizeof head);
  const std::array fds{memfd.get()};
  return send_message(socket, packet, std::span(fds).first(memfd ? 1 : 0), {.dont_wait = true});
}

Result<void> send_not_here(int socket, std::uint64_t request) {
  const LocalHead head{.flags = LocalHead::kNotHere, .size = sizeof request};
  std::array<char, sizeof head + sizeof request> packet{};
  std::memcpy(packet.data(), &head, sizeof head);
  std::memcpy(packet.data() + sizeof head, &request, sizeof request);
  return send_message(socket, {packet.data(), packet.size()}, {}, {.dont_wait = true});
}

Result<LocalPacket> receive_local(int socket, std::span<char> buffer) {
  const auto received = receive_message(socket, buffer, {.dont_wait = true});
  if (!received) return received.error();
  const std::string_view packet(buffer.data(), received->size);
  LocalHead head;
  if (packet.size() < sizeof head ||
      std::memcmp(packet.data(), head.magic, sizeof head.magic) != 0) {
    return reject("this is no packet of the local lane");
  }
  std::memcpy(&head, packet.data(), sizeof head);
  if (head.version != LocalHead::kVersion) {
    return reject(fmt::format("the packet is of version {} of the local lane, this is version {}",
                              head.version, LocalHead::kVersion));
  }
  if (head.size > kMessageBytesMax) return reject("a message larger than 16 MiB");
  const std::string_view rest = packet.substr(sizeof head);
  if (head.flags == LocalHead::kInMemfd) {
    if (received->fds.size() != 1 || !rest.empty()) {
      return reject("a packet that says what it is not");
    }
    auto frame = read_sealed_memfd(received->fds[0].get(), head.size);
    if (!frame) return reject(frame.error().message);
    return LocalPacket{.frame = *std::move(frame), .not_here = {}};
  }
  if (!received->fds.empty() || rest.size() != head.size) {
    return reject("a packet of another size than it says");
  }
  if (head.flags == 0) return LocalPacket{.frame = std::string{rest}, .not_here = {}};
  std::uint64_t request = 0;
  if (head.flags != LocalHead::kNotHere || rest.size() != sizeof request) {
    return reject("a packet that says what it is not");
  }
  std::memcpy(&request, rest.data(), sizeof request);
  return LocalPacket{.frame = {}, .not_here = request};
}

}  // namespace fanfare::protocol
