// What a notification says of itself beside its data: an event's extension of this name, whose text
// is a JSON object of names and values, as {"store":"berlin","tags":["a","b"],"price":12.5}.
//
// Patterns look into it: {"attributes":{"store":["berlin"]}}. A value is a text, number, true,
// false or null, or an array of these; objects within it are no values. Dots belong to names. An
// extension of this name that is no such text is as any other. It may be longer than others are.
#pragma once

#include <cstddef>
#include <string_view>

namespace fanfare::protocol {

inline constexpr std::string_view kNotificationAttributes = "attributes";
inline constexpr std::size_t kNotificationAttributesMax = 8192;

}  // namespace fanfare::protocol
