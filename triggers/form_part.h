// What the head of a form's part says: which field it is, and of a file its name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::triggers {

struct FormPart {
  std::string name;                      // of the field
  std::optional<std::string> file_name;  // as its sender says it: not to be trusted
  std::string type;                      // of the content; empty if it says nothing
};

// `head` is lines with their CRLF. The escapes of browsers (%22, %0D and %0A) are undone, and
// filename*, which RFC 7578 does not want and some clients send, is preferred where it can be read.
// kReject: no Content-Disposition: form-data with a name, two of them, or a transfer encoding.
Result<FormPart> form_part_of(std::string_view head);

}  // namespace fanfare::triggers
