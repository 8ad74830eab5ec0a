// The keys of a manifest, one row each. For this folder's sources only.
#pragma once

#include <toml++/toml.h>

#include <span>
#include <string>

#include "base/result.h"
#include "protocol/manifest.h"

namespace fanfare::protocol {

// One key: how it is read, and how describe() prints it. An error is the reason only ("must be a
// string"); its place and the key are added by whoever calls.
struct Setting {
  const char* key;  // dotted
  Result<void> (*read)(const toml::node& node, Manifest& manifest);
  std::string (*print)(const Manifest& manifest);
};

// All but [[on]] and [env], in describe's order.
std::span<const Setting> manifest_settings();

Result<std::string> text_of(const toml::node& node);

// The JSON text of a pattern, which may be written as such or as a TOML table. What it means is the
// pattern compiler's to judge; here it must be a JSON object.
Result<std::string> pattern_of(const toml::node& node);

}  // namespace fanfare::protocol
