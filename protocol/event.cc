#include "protocol/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "protocol/cursor.h"
#include "protocol/ids.h"
#include "protocol/notification_attributes.h"
#include "protocol/packer.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

constexpr std::uint32_t kFields = 10;
constexpr int kDepthMax = 4;  // the event's own array included
constexpr std::size_t kAttributeBytesMax = 1024;
constexpr std::size_t kUriBytesMax = 2048;
constexpr std::uint32_t kExtensionsMax = 64;

// ---- writing ----

std::uint32_t options_given(const PublishOptions& options) {
  const PublishOptions defaults;
  return static_cast<std::uint32_t>(
      options.deliver_at.has_value() + options.delay.has_value() + options.expires_at.has_value() +
      options.max_age.has_value() + (options.priority != defaults.priority) +
      !options.ordering_key.empty() + !options.tenant.empty() + !options.idempotency_key.empty() +
      !options.to.empty() + (options.generation != 0));
}

void pack_options(Packer& packer, const PublishOptions& options) {
  const std::uint32_t given = options_given(options);
  if (given == 0) return packer.nil();
  packer.map(given);
  const auto integer = [&](std::string_view key, const std::optional<std::int64_t>& value) {
    if (!value) return;
    packer.str(key);
    packer.integer(*value);
  };
  const auto text = [&](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    packer.str(key);
    packer.str(value);
  };
  integer("deliver_at", options.deliver_at);
  integer("delay", options.delay);
  integer("expires_at", options.expires_at);
  integer("max_age", options.max_age);
  if (options.priority != PublishOptions{}.priority) {
    packer.str("priority");
    packer.unsigned_integer(options.priority);
  }
  text("ordering_key", options.ordering_key);
  text("tenant", options.tenant);
  text("idempotency_key", options.idempotency_key);
  text("to", options.to);
  if (options.generation != 0) {
    packer.str("generation");
    packer.unsigned_integer(options.generation);
  }
}

void pack_extensions(Packer& packer, const Event& event) {
  if (event.extensions.empty()) return packer.nil();
  packer.map(event.extensions.size());
  for (const auto& [name, value] : event.extensions) {
    packer.str(name);
    packer.str(value);
  }
}

// ---- reading ----

// An attribute that may be absent; a present one is UTF-8 and not too long. (Of an option that is
// too long this is what its publisher reads; of an attribute it is what complaint_of has to say.)
std::string_view attribute(Cursor& cursor, std::size_t bytes_max) {
  if (cursor.nil()) return {};
  const std::string_view text = cursor.str();
  if (text.size() > bytes_max) cursor.fail("over 1024 bytes");
  if (!is_utf8(text)) cursor.fail("not UTF-8");
  return text;
}

std::string_view required(Cursor& cursor, std::size_t bytes_max, const char* missing) {
  const std::string_view text = attribute(cursor, bytes_max);
  if (text.empty()) cursor.fail(missing);
  return text;
}

bool is_extension_name(std::string_view name) {
  constexpr std::string_view kTaken[] = {"specversion", "id",   "source", "type",
                                         "subject",     "time", "data",   "datacontenttype",
                                         "dataschema"};
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= 20 && std::all_of(name.begin(), name.end(), good) &&
         std::find(std::begin(kTaken), std::end(kTaken), name) == std::end(kTaken);
}

// Calls `each(name, value)` for every extension of the map that follows.
template <typename Each>
void read_extensions(Cursor& cursor, Each each) {
  const std::uint32_t count = cursor.map();
  if (count > kExtensionsMax) return cursor.fail("more than 64 extensions");
  std::string_view names[kExtensionsMax];
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    names[i] = cursor.str();
    if (!is_extension_name(names[i])) return cursor.fail("extension names are [a-z0-9]{1,20}");
    if (std::find(names, names + i, names[i]) != names + i) {
      return cursor.fail("the same extension twice");
    }
    const std::string_view value =
        attribute(cursor, names[i] == kNotificationAttributes ? kNotificationAttributesMax
                                                              : kAttributeBytesMax);
    if (cursor.ok()) each(names[i], value);
  }
}

std::string_view checked_extensions(Cursor& cursor) {
  if (cursor.nil()) return {};
  const std::size_t from = cursor.offset();
  read_extensions(cursor, [](std::string_view, std::string_view) {});
  return cursor.ok() ? cursor.between(from, cursor.offset()) : std::string_view{};
}

// The bytes of the options' map; what it says is read by unpack_options, where it matters.
std::string_view options_map(Cursor& cursor) {
  if (cursor.nil()) return {};
  const std::size_t from = cursor.offset();
  const std::uint32_t count = cursor.map();
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    cursor.str();
    cursor.skip(kDepthMax - 2);
  }
  return cursor.ok() ? cursor.between(from, cursor.offset()) : std::string_view{};
}

Error failure(const char* what, const Cursor& cursor) {
  Error error = cursor.error();
  error.message = what + error.message;
  return error;
}

// ---- saying what is wrong ----

struct AttributeBounds {
  std::string name;
  std::size_t bytes_max;
  bool required = false;
};

// Empty if nothing is wrong with it but, maybe, how it is packed.
std::string fault_of(Cursor& cursor, const AttributeBounds& bounds) {
  const std::string_view text = cursor.nil() ? std::string_view{} : cursor.str();
  if (!cursor.ok()) return {};
  if (text.empty() && bounds.required) return bounds.name + " is missing";
  if (text.size() > bounds.bytes_max) {
    return fmt::format("{} has {} bytes; {} at most", bounds.name, text.size(), bounds.bytes_max);
  }
  return is_utf8(text) ? std::string{} : bounds.name + " is not UTF-8";
}

std::string fault_of_extensions(Cursor& cursor) {
  if (cursor.nil()) return {};
  const std::uint32_t count = cursor.map();
  if (count > kExtensionsMax) return fmt::format("more than {} extensions", kExtensionsMax);
  std::set<std::string_view> names;
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    const std::string_view name = cursor.str();
    if (!cursor.ok()) break;
    const std::string called = fmt::format("extension '{}'", to_utf8(name, 64));
    if (!is_extension_name(name)) {
      return called +
             ": extension names are 1 to 20 of a-z and 0-9, and not those of other attributes";
    }
    if (!names.insert(name).second) return called + " is there twice";
    const std::size_t bytes_max =
        name == kNotificationAttributes ? kNotificationAttributesMax : kAttributeBytesMax;
    if (auto fault = fault_of(cursor, {called, bytes_max}); !fault.empty()) return fault;
  }
  return {};
}

// Which attribute of an event is wrong, and what was wanted: read once more for that, as those that
// are right need not know it.
Error complaint_of(std::string_view packed, const Cursor& failed) {
  Cursor cursor{packed};
  cursor.array();
  std::string fault;
  const auto look_at = [&](std::initializer_list<AttributeBounds> attributes) {
    for (const AttributeBounds& each : attributes) {
      if (fault.empty()) fault = fault_of(cursor, each);
    }
  };
  look_at({{"source", kUriBytesMax, true},
           {"type", kAttributeBytesMax, true},
           {"subject", kUriBytesMax}});
  options_map(cursor);
  look_at({{"id", kAttributeBytesMax},
           {"time", kAttributeBytesMax},
           {"datacontenttype", kAttributeBytesMax},
           {"dataschema", kUriBytesMax}});
  if (fault.empty()) fault = fault_of_extensions(cursor);
  return fault.empty() ? failure("event: ", failed) : reject("event: " + fault);
}

// ---- options ----

std::int64_t not_negative(Cursor& cursor) {
  return static_cast<std::int64_t>(
      cursor.unsigned_integer(std::numeric_limits<std::int64_t>::max()));
}

std::string key_text(Cursor& cursor) {
  return std::string{attribute(cursor, kAttributeBytesMax)};
}

struct OptionReader {
  std::string_view key;
  void (*read)(Cursor& cursor, PublishOptions& options);
};

constexpr OptionReader kOptionReaders[] = {
    {"deliver_at", [](Cursor& c, PublishOptions& o) { o.deliver_at = not_negative(c); }},
    {"delay", [](Cursor& c, PublishOptions& o) { o.delay = not_negative(c); }},
    {"expires_at", [](Cursor& c, PublishOptions& o) { o.expires_at = not_negative(c); }},
    {"max_age", [](Cursor& c, PublishOptions& o) { o.max_age = not_negative(c); }},
    {"priority",
     [](Cursor& c, PublishOptions& o) {
       o.priority = static_cast<std::uint8_t>(c.unsigned_integer(9));
     }},
    {"ordering_key", [](Cursor& c, PublishOptions& o) { o.ordering_key = key_text(c); }},
    {"tenant", [](Cursor& c, PublishOptions& o) { o.tenant = key_text(c); }},
    {"idempotency_key", [](Cursor& c, PublishOptions& o) { o.idempotency_key = key_text(c); }},
    {"to",
     [](Cursor& c, PublishOptions& o) {
       o.to = key_text(c);
       if (c.ok() && !o.to.empty() && !is_function_name(o.to))
         c.fail("no function has such a name");
     }},
    {"generation",
     [](Cursor& c, PublishOptions& o) {
       o.generation = static_cast<std::uint32_t>(c.unsigned_integer(1'000'000));
     }},
};

}  // namespace

void pack_into(std::string& out, const Event& event) {
  const std::size_t expected = 96 + event.source.size() + event.type.size() + event.subject.size() +
                               event.id.size() + event.content_type.size() + event.data.size();
  Packer packer{out, expected};
  packer.array(kFields);
  packer.str(event.source);
  packer.str(event.type);
  packer.str_or_nil(event.subject);
  pack_options(packer, event.options);
  packer.str_or_nil(event.id);
  packer.str_or_nil(event.time);
  packer.str_or_nil(event.content_type);
  packer.str_or_nil(event.data_schema);
  pack_extensions(packer, event);
  packer.bin(event.data);
}

std::string pack(const Event& event) {
  std::string packed;
  pack_into(packed, event);
  return packed;
}

Result<EventView> view_event(std::string_view packed) {
  Cursor cursor{packed};
  const std::uint32_t count = cursor.array();
  if (cursor.ok() && count < kFields) cursor.fail("too few fields");
  EventView view;
  view.source = required(cursor, kUriBytesMax, "source missing");
  view.type = required(cursor, kAttributeBytesMax, "type missing");
  view.subject = attribute(cursor, kUriBytesMax);
  view.packed_options = options_map(cursor);
  view.id = attribute(cursor, kAttributeBytesMax);
  view.time = attribute(cursor, kAttributeBytesMax);
  view.content_type = attribute(cursor, kAttributeBytesMax);
  view.data_schema = attribute(cursor, kUriBytesMax);
  view.packed_extensions = checked_extensions(cursor);
  view.data = cursor.bin();
  for (std::uint32_t i = kFields; i < count && cursor.ok(); ++i) cursor.skip(kDepthMax - 1);
  if (cursor.ok() && !cursor.at_end()) cursor.fail("unexpected bytes");
  if (!cursor.ok()) return complaint_of(packed, cursor);
  return view;
}

Result<PublishOptions> unpack_options(std::string_view packed_options) {
  PublishOptions options;
  if (packed_options.empty()) return options;
  Cursor cursor{packed_options};
  const std::uint32_t count = cursor.map();
  for (std::uint32_t i = 0; i < count && cursor.ok(); ++i) {
    const std::string_view key = cursor.str();
    const auto* reader = std::find_if(std::begin(kOptionReaders), std::end(kOptionReaders),
                                      [&](const OptionReader& r) { return r.key == key; });
    if (reader != std::end(kOptionReaders)) {
      reader->read(cursor, options);
      if (!cursor.ok())
        return failure(("event: option " + std::string{key} + ": ").c_str(), cursor);
    } else {
      cursor.skip(kDepthMax - 2);
    }
  }
  if (cursor.ok() && !cursor.at_end()) cursor.fail("unexpected bytes");
  if (!cursor.ok()) return failure("event: options: ", cursor);
  return options;
}

std::vector<std::pair<std::string_view, std::string_view>> view_extensions(const EventView& event) {
  std::vector<std::pair<std::string_view, std::string_view>> extensions;
  if (event.packed_extensions.empty()) return extensions;
  Cursor cursor{event.packed_extensions};
  read_extensions(cursor, [&](std::string_view name, std::string_view value) {
    extensions.emplace_back(name, value);
  });
  return extensions;
}

Result<Event> unpack_event(std::string_view packed) {
  const auto view = view_event(packed);
  if (!view) return view.error();
  auto options = unpack_options(view->packed_options);
  if (!options) return options.error();
  Event event;
  event.source = view->source;
  event.type = view->type;
  event.subject = view->subject;
  event.id = view->id;
  event.time = view->time;
  event.content_type = view->content_type;
  event.data_schema = view->data_schema;
  for (const auto& [name, value] : view_extensions(*view))
    event.extensions.emplace_back(name, value);
  event.data = view->data;
  event.options = std::move(*options);
  return event;
}

std::string_view tenant_of(std::string_view packed) {
  Cursor cursor{packed};
  if (cursor.array() < kFields) return {};
  for (int attribute = 0; attribute < 3; ++attribute) cursor.skip(0);  // source, type, subject
  if (cursor.nil()) return {};
  std::string_view tenant;
  for (std::uint32_t left = cursor.map(); left > 0 && cursor.ok(); --left) {
    if (cursor.str() == "tenant") {
      tenant = cursor.str();
    } else {
      cursor.skip(kDepthMax - 2);
    }
  }
  return cursor.ok() ? tenant : std::string_view{};
}

}  // namespace fanfare::protocol
