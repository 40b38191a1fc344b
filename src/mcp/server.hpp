#pragma once

#include "mcp/era.hpp"
#include "mcp/schema.hpp"
#include "mcp/tool.hpp"

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace awm::mcp {

/// What a server says about itself.
struct server_info {
  std::string name;
  std::string version;
  std::string title;         ///< for people; may be empty
  std::string instructions;  ///< for the model: how the tools work together; may be empty
};

/// What a server offers, the same for every session: it holds no state of any client.
class server {
 public:
  struct offered_tool {
    tool declaration;
    schema input;
  };

  /// Throws `std::invalid_argument`, naming the tool, for one without a handler, with a bad or double name, or with a
  /// schema that is none or whose root is no object.
  server(server_info info, std::vector<tool> tools);

  const server_info& info() const { return info_; }

  /// null when there is none of that name.
  const offered_tool* find(std::string_view name) const;
  std::vector<std::string> tool_names() const;

  /// The results of `initialize` and `tools/list`, with nothing in them that `to` does not know.
  nlohmann::json describe(const dialect& to) const;
  nlohmann::json list_tools(const dialect& to) const;

 private:
  server_info info_;
  std::vector<offered_tool> tools_;
};

/// The result of a `tools/call`.
nlohmann::json call_result(tool_result result, const dialect& to);

}  // namespace awm::mcp
