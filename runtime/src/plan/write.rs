pub struct PlanWriter;
pub struct StepEntry;
