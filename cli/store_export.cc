// fanfare store export: all rows of a function, for other tools.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/function_store.h"
#include "cli/row_table.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

Error cut_short() {
  return reject(fmt::format("the output was cut short: {}; what is there is not all of it",
                            std::strerror(errno)));
}

Result<void> write_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) return cut_short();
  return {};
}

Result<void> export_csv(FunctionStore& from, const StoreCommand& command, RowTable& table) {
  auto looked = from.for_each(command.prefix,
                              [&](const store::StoredRow& row) { return table.look_at(row); });
  if (!looked) return looked;
  if (auto begun = write_out(table.heading()); !begun) return begun;
  return from.for_each(command.prefix,
                       [&](const store::StoredRow& row) { return write_out(table.line(row)); });
}

Result<void> export_rows(FunctionStore& from, const StoreCommand& command, RowTable& table) {
  auto written = command.format == "csv"
                     ? export_csv(from, command, table)
                     : from.for_each(command.prefix, [](const store::StoredRow& row) {
                         return write_out(to_json_line(row) + "\n");
                       });
  if (!written) return written;
  if (std::fflush(stdout) != 0) return cut_short();
  return {};
}

}  // namespace

int run_store_export(const Common& common, const StoreCommand& command) {
  auto opened = FunctionStore::open(common.address, command.function);
  if (!opened) return fail(common.output, opened.error());
  RowTable table(command.for_spreadsheet);
  const auto written = export_rows(*opened, command, table);
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
