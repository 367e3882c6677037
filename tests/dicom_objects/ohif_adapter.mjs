// OHIF's own adapter of structured reports, in Node; test_structured_report_ohif.py runs it.
//
// node ohif_adapter.mjs read REPORT          prints each measurement of the report: tool, finding, points
// node ohif_adapter.mjs write IMAGE REPORT   writes a report of a rectangle, an ellipse and a length
//
// It is run in a folder into which npm has installed the adapter.
import fs from 'node:fs';
import { adaptersSR } from '@cornerstonejs/adapters';
import { metaData } from '@cornerstonejs/core';
import dcmjs from 'dcmjs';

const { MeasurementReport } = adaptersSR.Cornerstone3D;
const { DicomMessage, DicomMetaDictionary, datasetToBuffer } = dcmjs.data;
const IMAGE = 'image';

function dataset(path) {
  const bytes = fs.readFileSync(path);
  const message = DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const natural = DicomMetaDictionary.naturalizeDataset(message.dict);
  natural._meta = DicomMetaDictionary.namifyDataset(message.meta);
  return natural;
}

// An image plane whose millimetres are pixels, so that points of the viewer are pixels too.
const plane = {
  imagePositionPatient: [0, 0, 0], imageOrientationPatient: [1, 0, 0, 0, 1, 0],
  rowCosines: [1, 0, 0], columnCosines: [0, 1, 0], rowPixelSpacing: 1, columnPixelSpacing: 1,
  pixelSpacing: [1, 1], rows: 1024, columns: 1024, frameOfReferenceUID: '1.2.3',
};
let instance = {};
metaData.addProvider(kind => {
  if (kind === 'imagePlaneModule') return plane;
  if (kind === 'instance') return instance;
  if (kind === 'sopCommonModule') {
    return { sopInstanceUID: instance.SOPInstanceUID, sopClassUID: instance.SOPClassUID };
  }
});

function read(path) {
  const report = dataset(path);
  const references = new Proxy({}, { get: () => IMAGE }); // every image is the one above
  const found = MeasurementReport.generateToolState(report, references, metaData);
  const measurements = Object.entries(found).flatMap(([tool, all]) => all.map(each => ({
    tool,
    finding: each.finding.CodeMeaning,
    points: each.annotation.data.handles.points.map(([x, y]) => [x, y]),
    trackingUID: each.TrackingUniqueIdentifier,
    image: each.sopInstanceUid,
  })));
  console.log(JSON.stringify(measurements));
}

// An annotation with the label that a reader typed; OHIF keeps it as a finding site of free text.
function annotation(label, points, statistics) {
  const code = { CodeValue: 'CORNERSTONEFREETEXT', CodingSchemeDesignator: 'CST4', CodeMeaning: label };
  return {
    data: {
      label,
      handles: { points, textBox: { worldPosition: [1, 1, 0] } },
      cachedStats: { [`imageId:${IMAGE}`]: statistics },
    },
    metadata: { referencedImageId: IMAGE },
    findingSites: [code],
  };
}

function write(image, path) {
  instance = dataset(image);
  const area = { area: 600, areaUnit: 'mm\xB2' };
  const rectangle = annotation('Nodule', [[10, 20, 0], [30, 20, 0], [10, 50, 0], [30, 50, 0]], area);
  const ellipse = annotation('Pleural Effusion', [[40, 60, 0], [40, 80, 0], [35, 70, 0], [45, 70, 0]], area);
  const length = annotation('Mass', [[5, 5, 0], [50, 60, 0]], { length: 71, unit: 'mm' });
  const state = { [IMAGE]: {
    RectangleROI: { data: [rectangle] },
    EllipticalROI: { data: [ellipse] },
    Length: { data: [length] },
  } };
  const report = MeasurementReport.generateReport(state, metaData, {});
  fs.writeFileSync(path, Buffer.from(datasetToBuffer(report.dataset)));
}

const [command, ...paths] = process.argv.slice(2);
({ read, write })[command](...paths);
