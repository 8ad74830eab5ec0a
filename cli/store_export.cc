// fanfare store export: all rows of a function, for other tools.
#include <fmt/format.h>

#include <cstdio>

#include "cli/function_store.h"
#include "cli/row_table.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

bool write_out(const std::string& text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
}

Result<void> export_csv(FunctionStore& from, const StoreCommand& command, RowTable& table) {
  Result<void> fits;
  const auto looked = from.for_each(command.prefix, [&](const store::StoredRow& row) {
    fits = table.look_at(row);
    return fits.has_value();
  });
  if (!looked) return looked;
  if (!fits) return fits;
  if (!write_out(table.heading())) return {};
  return from.for_each(command.prefix,
                       [&](const store::StoredRow& row) { return write_out(table.line(row)); });
}

}  // namespace

int run_store_export(const Common& common, const StoreCommand& command) {
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  RowTable table(command.for_spreadsheet);
  const auto written = command.format == "csv"
                           ? export_csv(*opened, command, table)
                           : opened->for_each(command.prefix, [](const store::StoredRow& row) {
                               return write_out(to_json_line(row) + "\n");
                             });
  if (!written) return fail(common.output, written.error());
  if (table.left_out() > 0) {
    print_error(common.output,
                fmt::format("{} values of members that appeared while this ran were left out",
                            table.left_out()),
                "Run it again.");
  }
  return kDone;
}

}  // namespace fanfare::cli
