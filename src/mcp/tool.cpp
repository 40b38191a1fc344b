#include "mcp/tool.hpp"

#include "mcp/content.hpp"

#include <utility>

namespace awm::mcp {

tool_result tool_result::json(nlohmann::json structured) {
  tool_result result;
  result.structured = std::move(structured);
  return result;
}

tool_result tool_result::text(std::string text) {
  tool_result result;
  result.content.push_back(text_block(std::move(text)));
  return result;
}

tool_result tool_result::error(std::string text) {
  tool_result result = tool_result::text(std::move(text));
  result.is_error = true;
  return result;
}

tool_result tool_result::failed(rpc_error error) {
  tool_result result;
  result.failure = std::move(error);
  return result;
}

}  // namespace awm::mcp
