#include "tests/simulation/garbage.h"

#include <algorithm>
#include <array>
#include <variant>
#include <vector>

#include "protocol/messages.h"
#include "protocol/samples.h"

namespace fanfare::simulation {
namespace {

void flip_bits(std::string& frame, std::size_t within, Random& random) {
  for (std::uint64_t flips = 1 + random.below(4); flips > 0 && !frame.empty(); --flips) {
    char& byte = frame[random.below(std::min(within, frame.size()))];
    byte = static_cast<char>(byte ^ (1 << random.below(8)));
  }
}

std::string noise(Random& random) {
  std::string frame(random.below(80), '\0');
  for (char& byte : frame) byte = static_cast<char>(random.next());
  return frame;
}

std::string try_to_spoil(std::string_view message, Random& random) {
  std::string frame(message);
  switch (random.below(5)) {
    case 0:
      frame.resize(random.below(frame.size() + 1));
      break;
    case 1:
      flip_bits(frame, 40, random);
      break;
    case 2:
      flip_bits(frame, frame.size(), random);
      break;
    case 3:
      if (frame.size() > 1) frame[1] = static_cast<char>(random.below(128));  // the version
      break;
    default:
      frame = noise(random);
  }
  return frame;
}

}  // namespace

std::string spoil(std::string_view message, Random& random) {
  for (int tries = 0; tries < 8; ++tries) {
    std::string frame = try_to_spoil(message, random);
    if (!protocol::decode(frame)) return frame;
  }
  return "\xC1";  // the one byte that msgpack never uses
}

std::string some_garbage(Random& random) {
  static const auto kFrames = [] {
    std::array<std::vector<std::string>, 2> frames;
    for (const auto& [name, message] : protocol::samples::messages()) {
      const bool is_work = std::holds_alternative<protocol::Publish>(message) ||
                           std::holds_alternative<protocol::Deliver>(message) ||
                           std::holds_alternative<protocol::Done>(message);
      frames[is_work ? 1 : 0].push_back(protocol::encode(message));
    }
    return frames;
  }();
  const auto& frames = kFrames[random.below(2)];
  return spoil(frames[random.below(frames.size())], random);
}

}  // namespace fanfare::simulation
