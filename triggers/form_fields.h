// What a form has sent, as the JSON that functions get.
//
// Each field is a member with its text; a name that comes several times has an array of them.
// Names that begin with "_" are the gateway's own: they steer it and do not reach functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace fanfare::triggers {

using FormFields = std::vector<std::pair<std::string, std::string>>;

inline constexpr std::size_t kFormFieldsMax = 1000;

// application/x-www-form-urlencoded, as the URL standard reads it; what is no valid escape stands
// for itself. kReject: text that is not UTF-8, too many fields.
Result<FormFields> urlencoded_fields(std::string_view text);

// What is said of a field whose name or text is not UTF-8, in whatever shape the form came.
Error not_utf8(std::string_view field);

// The first field of that name, or null.
const std::string* find_field(const FormFields& fields, std::string_view name);

// An object of them, without those that begin with "_", and without the one called `left_out`. The
// values of `more` are JSON already, and follow the texts.
std::string to_json(const FormFields& fields, std::string_view left_out = {},
                    const FormFields& more = {});

}  // namespace fanfare::triggers
