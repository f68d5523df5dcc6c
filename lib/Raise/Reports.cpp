//===- Reports.cpp - what recognisers saw and had to leave -----------------===//
#include "Reports.h"

#include "dialects/onnx/Onnx.h"

using namespace mlir;

void moe::reportGeneric(Operation *anchor, StringRef what, const Twine &reason) {
  auto module = anchor->getParentOfType<ModuleOp>();
  if (!module)
    return;
  Builder b(anchor->getContext());
  StringRef node = onnx::getNodeName(anchor);
  SmallVector<Attribute> reports;
  if (auto old = module->getAttrOfType<ArrayAttr>("moe.generic"))
    reports.assign(old.begin(), old.end());
  for (Attribute report : reports)
    if (auto dict = dyn_cast<DictionaryAttr>(report))
      if (!node.empty() && dict.getAs<StringAttr>("op") == b.getStringAttr(what) &&
          dict.getAs<StringAttr>("node") == b.getStringAttr(node))
        return;
  reports.push_back(
      b.getDictionaryAttr({b.getNamedAttr("op", b.getStringAttr(what)), b.getNamedAttr("node", b.getStringAttr(node)),
                           b.getNamedAttr("reason", b.getStringAttr(reason))}));
  module->setAttr("moe.generic", b.getArrayAttr(reports));
}
