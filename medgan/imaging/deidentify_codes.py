"""Elements whose values are the standard's words, not a person's: a patient named Head empties no BodyPartExamined."""

from pydicom.dataelem import DataElement

from medgan.imaging.deidentify_words import text_of

_OF_THE_STANDARD = frozenset(
    """
    Modality ImageType FrameType PhotometricInterpretation RescaleType Units DecayCorrection CorrectedImage
    PatientPosition PatientOrientation PatientSex BurnedInAnnotation RecognizableVisualFeatures LossyImageCompression
    LossyImageCompressionMethod ScanningSequence SequenceVariant ScanOptions MRAcquisitionType AngioFlag PhaseEncoding
    InPlanePhaseEncodingDirection Laterality ImageLaterality FrameLaterality ViewPosition ConversionType SyntheticData
    PresentationIntentType PresentationLUTShape PixelIntensityRelationship VOILUTFunction SpecificCharacterSet
    PixelPresentation VolumetricProperties VolumeBasedCalculationTechnique ComplexImageComponent AcquisitionContrast
    SeriesType CountsSource RandomsCorrectionMethod ContentQualification LongitudinalTemporalInformationModified
    PatientIdentityRemoved RotationDirection ExposureModulationType FilterType GeneratorType CollimatorType DetectorType
    CodeValue CodingSchemeDesignator CodingSchemeVersion LongCodeValue ContextIdentifier MappingResource
    """.split()  # noqa: SIM905
)
"""Elements whose defined terms the standard fixes; without them the image could not be read."""
_BODY_PARTS = frozenset(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE ANUS AORTA ARM AXILLA BACK BLADDER BODY BRAIN BREAST BRONCHUS BUTTOCK
    CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS CHOROIDPLEXUS CLAVICLE COCCYX COLON
    CORNEA CSPINE CTSPINE DUODENUM EAR ELBOW ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FINGER FOOT GALLBLADDER
    HAND HEAD HEADNECK HEART HIP HUMERUS ILEUM ILIUM IAC JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE LSSPINE
    LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT OVARY PANCREAS
    PAROTID PATELLA PELVIS PENIS PHARYNX PLACENTA PROSTATE RECTUM RETINA RIB SCALP SCAPULA SCLERA SCROTUM
    SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS THIGH THUMB THYMUS THYROID TLSPINE
    TMJ TOE TONGUE TRACHEA TSPINE ULNA URETER URETHRA UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA SKIN
    """.split()  # noqa: SIM905
)
"""PS3.16 Annex L, Body Part Examined."""


def is_of_the_standard(element: DataElement) -> bool:
    """Whether an element's value is a word that the standard knows, however a patient may be called."""
    if element.keyword in _OF_THE_STANDARD:
        return True
    return element.keyword == "BodyPartExamined" and text_of(element).strip().upper() in _BODY_PARTS
